//! What netdeed replaces: every cleanup that people use today runs on one node, `netdeed reset` on its twin, and a third
//! never had Kubernetes. What the cleanup breaks or leaves is named; the reset has to leave the node as the third one is.
//!
//! The scripts are written here, of what such cleanups do.

mod chains;
mod kube_proxy;
mod kubeadm;
mod node_cleanup;
mod sets;
mod twins;

use std::process::Output;

use netdeed_tests::oracle::Step;

/// Everything a program printed.
fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn admin(script: &'static str) -> Step {
    Step::Admin(script.into())
}

fn kubernetes(program: &'static str, script: &'static str) -> Step {
    Step::Kubernetes(program, script.into())
}
