//! Steps: what somebody does on a node.

use std::borrow::Cow;

use serde_json::Value;

use crate::node::Node;
use crate::scenario::cni::Pod;
use crate::scenario::docker::Docker;
use crate::scenario::firewalld::{Backend, Firewalld};
use crate::scenario::kubernetes::{
    self, ApiServer, Backend as FlannelBackend, Firewall, Flanneld, KubeProxy, Mode, NODE_LINK, objects,
};
use crate::scenario::podman::Podman;
use crate::scenario::{cni, kube_proxy};
use crate::{Failure, Result};

/// A shell script.
pub type Script = Cow<'static, str>;

/// One step of a scenario, by the real programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// kube-proxy writes its ruleset for a number of services.
    KubeProxy(usize),
    /// kube-proxy removes what it no longer needs: services above a number, as its next synchronisation does.
    KubeProxyShrinks(usize, usize),
    /// The node has a link to others; it is not Kubernetes'.
    Network,
    /// A real kube-proxy comes up, with services of all kinds.
    RealKubeProxy(Mode),
    /// So many services of the cluster (below 250), from number 0; the real kube-proxy follows.
    Services(u16),
    /// A real flanneld comes up, with another node.
    RealFlanneld(FlannelBackend, Firewall),
    /// The container runtime attaches a pod with a published port.
    Attach(&'static str, u16),
    /// The same with an IPv6 address as well.
    AttachDualStack(&'static str, u16),
    /// The same with limits to its bandwidth.
    AttachShaped(&'static str, u16),
    /// The container runtime detaches it.
    Detach(&'static str),
    /// The CNI's configuration and directories are installed.
    InstallCni,
    /// Something by a Kubernetes program: its name and what it does.
    Kubernetes(&'static str, Script),
    /// Something by somebody else's program.
    Other(&'static str, Script),
    /// Something by a logged-in administrator.
    Admin(Script),
    /// A real Docker daemon with a published port.
    Docker,
    /// The same without proxy processes: the published port works by Docker's rules alone.
    DockerWithoutProxy,
    /// Something done with Docker's own command line; `Docker` comes first.
    WithDocker(Script),
    /// A real firewalld that writes nftables rules.
    Firewalld,
    /// A real podman with a network and a published port.
    Podman,
}

impl Step {
    /// Whether it is Kubernetes' part, and so left out on the node that it is compared with.
    pub fn is_kubernetes(&self) -> bool {
        match self {
            Self::KubeProxy(_) | Self::KubeProxyShrinks(..) | Self::Attach(..) | Self::Detach(_) => true,
            Self::RealKubeProxy(_) | Self::Services(_) | Self::RealFlanneld(..) => true,
            Self::AttachDualStack(..) | Self::AttachShaped(..) => true,
            Self::InstallCni | Self::Kubernetes(..) => true,
            Self::Network | Self::Other(..) | Self::Admin(_) => false,
            Self::Docker | Self::DockerWithoutProxy | Self::WithDocker(_) | Self::Firewalld | Self::Podman => false,
        }
    }
}

/// A node with what its steps keep running.
#[derive(Debug)]
pub struct Stage<'a> {
    node: &'a Node,
    docker: Option<Docker<'a>>,
    firewalld: Option<Firewalld>,
    podman: Option<Podman<'a>>,
    pods: Vec<(Pod, Value)>,
    // ended before the server that they ask
    kube_proxy: Option<(KubeProxy<'a>, Mode)>,
    flanneld: Option<Flanneld<'a>>,
    services: u16,
    server: Option<ApiServer>,
}

impl<'a> Stage<'a> {
    /// Carries out steps in order.
    ///
    /// # Errors
    /// The step that failed, with what it said.
    pub fn run<'s>(node: &'a Node, steps: impl Iterator<Item = &'s Step>) -> Result<Self> {
        let mut stage = Self {
            node,
            docker: None,
            firewalld: None,
            podman: None,
            pods: Vec::new(),
            kube_proxy: None,
            flanneld: None,
            services: 0,
            server: None,
        };
        for step in steps {
            stage.step(step).map_err(|failure| Failure(format!("{step:?}: {failure}")))?;
        }
        Ok(stage)
    }

    /// Whether Docker's published port answers; true without Docker.
    pub fn docker_answers(&self) -> bool {
        self.docker.as_ref().is_none_or(Docker::answers)
    }

    /// Ends Kubernetes' daemons, as one does before a reset.
    pub fn stop_kubernetes(&mut self) {
        self.kube_proxy = None;
        self.flanneld = None;
    }

    /// The cluster's API server, with this node and another one.
    fn server(&mut self) -> Result<&ApiServer> {
        if self.server.is_none() {
            let server = ApiServer::start(self.node)?;
            server.put_node();
            self.server = Some(server);
        }
        self.server.as_ref().ok_or_else(|| Failure("no API server runs".to_owned()))
    }

    fn real_kube_proxy(&mut self, mode: Mode) -> Result<()> {
        let node = self.node;
        let server = self.server()?;
        server.put_services_of_all_kinds();
        let proxy = KubeProxy::start(node, server, mode)?;
        proxy.wait_for("shop/sticky")?;
        self.kube_proxy = Some((proxy, mode));
        Ok(())
    }

    /// Adds or removes services, and waits until kube-proxy has followed.
    fn services(&mut self, count: u16) -> Result<()> {
        let before = std::mem::replace(&mut self.services, count);
        let server = self.server()?;
        // the first 250 addresses are also those of services of all kinds
        (before..count).for_each(|number| server.put_service(250 + number, 2));
        (count..before).for_each(|number| server.delete_service(250 + number));
        let Some((proxy, mode)) = &self.kube_proxy else { return Ok(()) };
        // unused chains stay for a while, in iptables mode
        let shown = |number: u16| match mode {
            Mode::Nftables => format!("10.96.1.{} . tcp . 80 :", number + 1),
            Mode::Iptables => format!("-A KUBE-SERVICES -d 10.96.1.{}/32 ", number + 1),
            Mode::Ipvs => format!("-A -t 10.96.1.{}:80 ", number + 1),
        };
        match (before.checked_sub(1), count.checked_sub(1)) {
            (_, Some(last)) if count > before => proxy.wait_for(&shown(last)),
            (Some(last), _) if count < before => proxy.wait_for_end_of(&shown(last)),
            _ => Ok(()),
        }
    }

    fn real_flanneld(&mut self, backend: FlannelBackend, firewall: Firewall) -> Result<()> {
        const PODS: &str = "10.244.1.0/24";
        let node = self.node;
        let server = self.server()?;
        server.put(objects::flannel_node("node2", "192.168.77.6", PODS, backend.word()));
        self.flanneld = Some(Flanneld::start(node, server, (backend, firewall), &[PODS])?);
        Ok(())
    }

    fn docker(&mut self, docker: Docker<'a>) -> Result<()> {
        docker.publish()?;
        self.docker = Some(docker);
        Ok(())
    }

    fn attach(&mut self, pod: Pod) -> Result<()> {
        let result = cni::add(self.node, &pod)?;
        self.pods.push((pod, result));
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<()> {
        let node = self.node;
        match step {
            Step::KubeProxy(services) => kube_proxy::sync(node, *services),
            Step::KubeProxyShrinks(from, to) => kube_proxy::shrink(node, *from, *to),
            Step::Network if node.sh(&format!("ip link show {NODE_LINK}")).is_ok() => Ok(()),
            Step::Network => kubernetes::attach(node),
            Step::RealKubeProxy(mode) => self.real_kube_proxy(*mode),
            Step::Services(count) => self.services(*count),
            Step::RealFlanneld(backend, firewall) => self.real_flanneld(*backend, *firewall),
            Step::InstallCni => cni::install(node),
            Step::Attach(name, port) => self.attach(Pod::new(name, &[(*port, 80)])),
            Step::AttachDualStack(name, port) => self.attach(Pod::new(name, &[(*port, 80)]).dual_stack()),
            Step::AttachShaped(name, port) => self.attach(Pod::new(name, &[(*port, 80)]).shaped()),
            Step::Detach(name) => {
                let position = self.pods.iter().position(|(pod, _)| pod.name == *name);
                let (pod, result) = self.pods.remove(position.ok_or_else(|| Failure(format!("no pod {name}")))?);
                cni::del(node, &pod, &result)
            }
            Step::Kubernetes(program, script) | Step::Other(program, script) => node.run_as(program, script).map(drop),
            Step::Admin(script) => node.admin_sh(script).map(drop),
            Step::Docker => self.docker(Docker::start(node)?),
            Step::DockerWithoutProxy => self.docker(Docker::start_without_proxy(node)?),
            Step::WithDocker(script) => match &self.docker {
                Some(docker) => docker.run(script).map(drop),
                None => Err(Failure("no Docker daemon runs".to_owned())),
            },
            Step::Firewalld => {
                self.firewalld = Some(Firewalld::start(node, Backend::Nftables)?);
                Ok(())
            }
            Step::Podman => {
                self.podman = Some(Podman::publish_one(node)?);
                Ok(())
            }
        }
    }
}
