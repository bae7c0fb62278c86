//! Looks at what a swap of one CNI for another is about.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::capture::sockets::{PortHolder, holders_of_udp_port};
use crate::control::NodeError;
use crate::control::api::{PlanRequest, RunningView, SwapRequest, SwapView};
use crate::host::Host;
use crate::host::real::RealHost;
use crate::model::ids::ObjectId;
use crate::model::object::Object;
use crate::model::owner::Owner;
use crate::model::subject::{Class, Subject};
use crate::query;
use crate::rollback::swap::{Agent, CniConfig, PortUser, Scene, Swap, preflight, verify};
use crate::rollback::{Selection, candidate_paths};

use super::node::{TrackerNode, failed};

/// Where runtimes look for CNI configurations.
const CONFIGS: &str = "/etc/cni/net.d";
/// Longest configuration that is read, bytes, and the most files.
const LONGEST: u64 = 1 << 20;
const MOST: usize = 256;

/// What to know before a swap, with the plan of its reset, or what is left after one.
pub(super) fn swap(node: &TrackerNode, request: &SwapRequest) -> Result<SwapView, NodeError> {
    let SwapRequest { from, to, include_inferred, verify: is_after } = request.clone();
    let plan = match is_after {
        true => {
            node.catch_up()?;
            None
        }
        false => {
            let request = PlanRequest { include_inferred, ..PlanRequest::of(from.clone()) };
            Some(node.plan_view(&request)?)
        }
    };
    let objects = node.live_objects()?;
    let paths = candidate_paths(&objects, &Selection { include_inferred: true, ..Selection::of(from.clone()) });
    let live = RealHost.live(&paths).map_err(|error| failed("read the live state", error))?;
    let agents: Vec<Agent> = agents(node, &from, to.as_ref());
    let configs = configs(Path::new(CONFIGS)).map_err(|error| failed("read the CNI configurations", error))?;
    let pods = pods(node, &objects)?;
    let swap = Swap { from: from.clone(), to: to.clone() };
    let ports = ports(&swap).map_err(|error| failed("read who has which UDP port", error))?;
    let scene =
        Scene { objects: &objects, live: &live, agents: &agents, pods: &pods, configs: &configs, ports: &ports };
    let findings = if is_after { verify(&scene, &swap) } else { preflight(&scene, &swap) };
    let findings = findings.into_iter().map(query::finding_view).collect();
    Ok(SwapView { from, to, verify: is_after, findings, plan })
}

fn agents(node: &TrackerNode, from: &Owner, to: Option<&Owner>) -> Vec<Agent> {
    let running = std::iter::once(from).chain(to).flat_map(|owner| node.running_of(owner));
    let agent = |RunningView { owner, program, tgid, remedy, .. }| Agent { owner, program, tgid, remedy };
    running.map(agent).collect()
}

/// Who has the port of the new CNI's tunnel.
fn ports(swap: &Swap) -> std::io::Result<Vec<PortUser>> {
    let Some(port) = swap.wanted_port() else { return Ok(Vec::new()) };
    let holders = holders_of_udp_port(port)?.into_iter();
    Ok(holders.map(|PortHolder { tgid, program }| PortUser { port, program, tgid }).collect())
}

/// The pods that links were made for.
fn pods(node: &TrackerNode, objects: &[Object]) -> Result<BTreeMap<ObjectId, String>, NodeError> {
    let mut pods = BTreeMap::new();
    for object in objects.iter().filter(|object| object.class() == Class::Link) {
        let (Subject::Link(_), Some(actor)) = (&object.subject, object.created.attribution.actor()) else { continue };
        let Some(actor) = node.reader().actor(actor)? else { continue };
        let called_for = |image: &crate::model::process::Image| image.cni.as_ref().and_then(|call| call.pod.clone());
        if let Some(pod) = actor.lineage().find_map(called_for) {
            pods.insert(object.id, pod.to_string());
        }
    }
    Ok(pods)
}

/// The configurations of a directory in the order of their names; none when it is not there.
fn configs(dir: &Path) -> std::io::Result<Vec<CniConfig>> {
    let mut names = Vec::new();
    match std::fs::read_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
        Ok(entries) => {
            for entry in entries.take(MOST) {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                // a FIFO would never end
                if CniConfig::is_name(&name) && std::fs::metadata(entry.path()).is_ok_and(|file| file.is_file()) {
                    names.push((name, entry.path()));
                }
            }
        }
    }
    names.sort();
    let mut configs = Vec::with_capacity(names.len());
    for (name, path) in names {
        let mut text = Vec::new();
        File::open(path)?.take(LONGEST).read_to_end(&mut text)?;
        configs.push(CniConfig::parse(&name, &text));
    }
    Ok(configs)
}
