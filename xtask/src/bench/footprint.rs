//! What the tracker itself needs: memory, processor time, and time until everything is recorded.

use std::path::Path;
use std::time::{Duration, Instant};

use netdeed_tests::Failure;
use netdeed_tests::node::Node;
use netdeed_tests::scenario::kube_proxy;

use crate::error::XtaskError;

use super::machine;
use super::probe::{Probe, make_chain};
use super::statistics::median;
use super::watcher::Netdeed;

/// How long an idle tracker is looked at.
const IDLE: Duration = Duration::from_secs(10);
/// Clock ticks a second in /proc, the same on every architecture Linux has nowadays.
const TICKS: f64 = 100.0;

/// What the tracker deals with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// Nothing, from its start on.
    Idle,
    /// That many rules one after the other, each added and deleted again by a run of `iptables-nft`.
    Rules(usize),
    /// A restore of that many services.
    Restore(usize),
}

/// Work, and how often it is measured.
#[derive(Debug)]
pub(super) struct Scene {
    work: Work,
    times: usize,
}

impl Scene {
    /// What people call it.
    pub(super) fn name(&self) -> String {
        match self.work {
            Work::Idle => format!("start and {} s idle", IDLE.as_secs()),
            Work::Rules(rules) => format!("{rules} runs each of iptables-nft -A and -D"),
            Work::Restore(services) => format!("restore of {services} services"),
        }
    }
}

/// Everything the tracker is measured with.
pub(super) fn scenes(is_quick: bool) -> Vec<Scene> {
    let times = if is_quick { 1 } else { 3 };
    [Work::Idle, Work::Rules(500), Work::Restore(1000), Work::Restore(5000)].map(|work| Scene { work, times }).into()
}

/// What it needed. Medians over all times it was measured.
#[derive(Debug)]
pub(super) struct Footprint {
    pub(super) name: String,
    /// Largest resident set since the start, MiB.
    pub(super) peak_mib: f64,
    /// Processor time of the start until it was ready, seconds.
    pub(super) start_seconds: f64,
    /// Processor time of the work, seconds.
    pub(super) cpu_seconds: f64,
    /// How long the writer took, seconds; none when idle.
    pub(super) writer_seconds: Option<f64>,
    /// How long after the writer's return everything was recorded, seconds.
    pub(super) lag_seconds: Option<f64>,
    /// Living objects recorded.
    pub(super) objects: u64,
    /// Records lost, all times together.
    pub(super) lost: u64,
    pub(super) times: usize,
}

struct Taken {
    peak_mib: f64,
    start_seconds: f64,
    cpu_seconds: f64,
    writer_seconds: Option<f64>,
    lag_seconds: Option<f64>,
    objects: u64,
    lost: u64,
}

/// Measures, each time in a node of its own.
pub(super) fn run(programs: &Path, scene: &Scene) -> Result<Footprint, XtaskError> {
    let mut taken = Vec::new();
    for time in 0..scene.times {
        eprintln!("{}: {} of {}", scene.name(), time + 1, scene.times);
        machine::wait_for_others()?;
        let node = Node::new()?;
        taken.push(take(&node, programs, scene.work)?);
    }
    let middle = |figure: fn(&Taken) -> f64| median(&taken.iter().map(figure).collect::<Vec<_>>());
    let middle_of_some = |figure: fn(&Taken) -> Option<f64>| {
        let figures: Vec<f64> = taken.iter().filter_map(figure).collect();
        (!figures.is_empty()).then(|| median(&figures))
    };
    Ok(Footprint {
        name: scene.name(),
        peak_mib: middle(|taken| taken.peak_mib),
        start_seconds: middle(|taken| taken.start_seconds),
        cpu_seconds: middle(|taken| taken.cpu_seconds),
        writer_seconds: middle_of_some(|taken| taken.writer_seconds),
        lag_seconds: middle_of_some(|taken| taken.lag_seconds),
        objects: taken.iter().map(|taken| taken.objects).max().unwrap_or_default(),
        lost: taken.iter().map(|taken| taken.lost).sum(),
        times: taken.len(),
    })
}

#[expect(clippy::disallowed_methods, reason = "an idle tracker is what is measured")]
fn take(node: &Node, programs: &Path, work: Work) -> Result<Taken, XtaskError> {
    let tracker = Netdeed::start(node, programs)?;
    let start_seconds = cpu_seconds(&tracker)?;
    let (mut writer_seconds, mut lag_seconds) = (None, None);
    if work == Work::Idle {
        std::thread::sleep(IDLE);
    } else {
        let time = write(node, programs, work)?;
        let returned = Instant::now();
        tracker.catch_up()?;
        lag_seconds = Some(returned.elapsed().as_secs_f64());
        writer_seconds = Some(time.as_secs_f64());
    }
    let cpu_seconds = cpu_seconds(&tracker)? - start_seconds;
    let peak_mib = peak_mib(&tracker)?;
    let status = tracker.status()?;
    tracker.stop()?;
    Ok(Taken {
        peak_mib,
        start_seconds,
        cpu_seconds,
        writer_seconds,
        lag_seconds,
        objects: status.journal.live_objects,
        lost: status.losses.iter().map(|loss| loss.records.max(loss.times)).sum(),
    })
}

/// Does the work and says how long it took.
fn write(node: &Node, programs: &Path, work: Work) -> Result<Duration, XtaskError> {
    match work {
        Work::Idle => Ok(Duration::ZERO),
        Work::Rules(rules) => {
            make_chain(node)?;
            let began = Instant::now();
            // the samples that warm up count here: all of them have to be recorded
            Probe::AddRule.run_in(node, programs, rules - Probe::AddRule.warm_up(), Path::new("/"))?;
            Ok(began.elapsed())
        }
        Work::Restore(services) => {
            let ruleset = kube_proxy::ruleset(services);
            let began = Instant::now();
            kube_proxy::sync_text(node, &ruleset)?;
            Ok(began.elapsed())
        }
    }
}

/// User and system time so far.
fn cpu_seconds(tracker: &Netdeed<'_>) -> Result<f64, XtaskError> {
    let stat = of_process(tracker, "stat")?;
    // the fields follow the task name, which may hold anything but ends at the last bracket: state is the first of them
    let fields = stat.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
    let ticks = |index| fields.split_whitespace().nth(index).and_then(|ticks| ticks.parse::<f64>().ok());
    match (ticks(11), ticks(12)) {
        (Some(user), Some(system)) => Ok((user + system) / TICKS),
        _ => Err(unreadable("stat")),
    }
}

/// Largest resident set of a tracker since its start, MiB.
pub(super) fn peak_mib(tracker: &Netdeed<'_>) -> Result<f64, XtaskError> {
    machine::peak_mib(tracker.pid()).ok_or_else(|| unreadable("status"))
}

fn of_process(tracker: &Netdeed<'_>, file: &str) -> Result<String, XtaskError> {
    let path = format!("/proc/{}/{file}", tracker.pid());
    Ok(std::fs::read_to_string(&path).map_err(|error| Failure::new(format!("cannot read `{path}`"), error))?)
}

fn unreadable(file: &str) -> XtaskError {
    XtaskError::Wrong(format!("the tracker's /proc/<pid>/{file} is not understood"))
}
