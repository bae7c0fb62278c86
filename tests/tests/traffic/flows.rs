//! What passes during a reset, counted: connections of one datagram each, a stream of datagrams, and established TCP
//! connections that carry numbers there and back.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use netdeed_tests::wait;

/// Packets that have to arrive before and after the reset.
pub(crate) const ENOUGH: u64 = 300;
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Between two packets.
const PAUSE: Duration = Duration::from_millis(1);

/// Moves the calling thread into a network namespace.
fn enter(namespace: &Path) {
    let file = File::open(namespace).expect("a namespace");
    let kind = rustix::thread::LinkNameSpaceType::Network;
    rustix::thread::move_into_link_name_space(file.as_fd(), Some(kind)).expect("entering needs root");
}

/// From where to where, as each end sees it.
#[derive(Clone)]
pub(crate) struct Route {
    pub(crate) client: PathBuf,
    /// The address the client asks for.
    pub(crate) asked: String,
    pub(crate) server: PathBuf,
    /// Where the server listens.
    pub(crate) bound: String,
}

/// Numbered datagrams.
pub(crate) struct Datagrams {
    name: &'static str,
    route: Route,
    /// Whether each comes from a port of its own, and so meets the rules anew.
    is_each_new: bool,
    sent: AtomicU64,
    seen: Mutex<BTreeSet<u64>>,
}

impl Datagrams {
    pub(crate) fn new(name: &'static str, route: Route, is_each_new: bool) -> Self {
        Self { name, route, is_each_new, sent: AtomicU64::new(0), seen: Mutex::new(BTreeSet::new()) }
    }

    fn send(&self, is_over: &AtomicBool) {
        enter(&self.route.client);
        let socket = || UdpSocket::bind("0.0.0.0:0").expect("a port");
        let stream = socket();
        while !is_over.load(Ordering::SeqCst) {
            let number = self.sent.fetch_add(1, Ordering::SeqCst).to_ne_bytes();
            // before the first answer to an ARP request some may not leave
            let _ = if self.is_each_new { socket() } else { stream.try_clone().expect("a copy") }
                .send_to(&number, &self.route.asked);
            std::thread::park_timeout(PAUSE);
        }
    }

    fn receive(&self, is_deaf: &AtomicBool) {
        enter(&self.route.server);
        let socket = UdpSocket::bind(&self.route.bound).expect("the port");
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a time-out");
        let mut number = [0; 8];
        while !is_deaf.load(Ordering::SeqCst) {
            if matches!(socket.recv(&mut number), Ok(8)) {
                self.seen.lock().expect("not poisoned").insert(u64::from_ne_bytes(number));
            }
        }
    }

    fn lost_since(&self, first: u64) -> Vec<u64> {
        let seen = self.seen.lock().expect("not poisoned");
        (first..self.sent.load(Ordering::SeqCst)).filter(|number| !seen.contains(number)).collect()
    }
}

/// An established TCP connection: every number comes back before the next one goes.
pub(crate) struct Conversation {
    name: &'static str,
    route: Route,
    answered: AtomicU64,
    /// Segments that the client and the server had to send again since the first answer.
    resent: [AtomicU64; 2],
    /// Whether the server listens: a proxy would take a connection before.
    is_bound: AtomicBool,
    broken: Mutex<Option<String>>,
}

impl Conversation {
    pub(crate) fn new(name: &'static str, route: Route) -> Self {
        let (answered, is_bound) = (AtomicU64::new(0), AtomicBool::new(false));
        Self { name, route, answered, resent: Default::default(), is_bound, broken: Mutex::new(None) }
    }

    fn speak(&self, is_over: &AtomicBool) {
        enter(&self.route.client);
        if let Err(error) = self.numbers(is_over) {
            *self.broken.lock().expect("not poisoned") = Some(error.to_string());
        }
    }

    fn numbers(&self, is_over: &AtomicBool) -> std::io::Result<()> {
        let is_bound = || self.is_bound.load(Ordering::SeqCst);
        let connect = || TcpStream::connect(&self.route.asked).ok();
        wait::until("a server", PATIENCE, || is_bound().then_some(())).map_err(std::io::Error::other)?;
        let mut stream = wait::until("a connection", PATIENCE, connect).map_err(std::io::Error::other)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut resent = Resent::new(&self.resent[0]);
        while !is_over.load(Ordering::SeqCst) {
            let number = self.answered.load(Ordering::SeqCst).to_ne_bytes();
            stream.write_all(&number)?;
            let mut answer = [0; 8];
            stream.read_exact(&mut answer)?;
            if answer != number {
                return Err(std::io::Error::other(format!("{answer:?} came back for {number:?}")));
            }
            resent.look();
            self.answered.fetch_add(1, Ordering::SeqCst);
            std::thread::park_timeout(PAUSE);
        }
        Ok(())
    }

    fn answer(&self, is_deaf: &AtomicBool) {
        enter(&self.route.server);
        let listener = TcpListener::bind(&self.route.bound).expect("the port");
        listener.set_nonblocking(true).expect("a listener");
        self.is_bound.store(true, Ordering::SeqCst);
        let accepted = wait::until("somebody who connects", PATIENCE, || {
            let accepted = listener.accept().ok();
            (accepted.is_some() || is_deaf.load(Ordering::SeqCst)).then_some(accepted)
        });
        let Ok(Some((mut stream, _))) = accepted else { return };
        stream.set_nonblocking(false).expect("a stream");
        stream.set_nodelay(true).expect("a stream");
        let (mut number, mut resent) = ([0; 8], Resent::new(&self.resent[1]));
        while stream.read_exact(&mut number).is_ok() && stream.write_all(&number).is_ok() {
            resent.look();
        }
    }
}

/// Segments sent again in the calling thread's network namespace since the first look.
struct Resent<'a> {
    since: Option<u64>,
    count: &'a AtomicU64,
}

impl<'a> Resent<'a> {
    fn new(count: &'a AtomicU64) -> Self {
        Self { since: None, count }
    }

    fn look(&mut self) {
        let now = resent_segments();
        self.count.store(now - *self.since.get_or_insert(now), Ordering::SeqCst);
    }
}

/// `RetransSegs` of the calling thread's network namespace.
fn resent_segments() -> u64 {
    let counters = std::fs::read_to_string("/proc/thread-self/net/snmp").expect("counters");
    let mut tcp = counters.lines().filter_map(|line| line.strip_prefix("Tcp:"));
    let (names, values) = (tcp.next().expect("names"), tcp.next().expect("values"));
    let at = names.split_whitespace().position(|name| name == "RetransSegs").expect("a counter");
    values.split_whitespace().nth(at).and_then(|value| value.parse().ok()).expect("a number")
}

/// What passed while something was done.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    /// Packets sent meanwhile, each way counted once.
    pub(crate) during: Vec<(&'static str, u64)>,
    /// What was lost, resent or broken, in words.
    pub(crate) losses: Vec<String>,
}

/// Lets all of it pass, does something once enough has arrived, and lets as much pass afterwards.
///
/// # Panics
/// When too little arrives.
pub(crate) fn while_passing<T>(
    datagrams: &[&Datagrams],
    conversations: &[&Conversation],
    act: impl FnOnce() -> T,
) -> (T, Passed) {
    let (is_over, is_deaf) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        // ends the threads also when something is asserted in vain
        let _end = End(&is_over, &is_deaf);
        for flow in datagrams {
            scope.spawn(|| flow.receive(&is_deaf));
            scope.spawn(|| flow.send(&is_over));
        }
        for flow in conversations {
            scope.spawn(|| flow.answer(&is_deaf));
            scope.spawn(|| flow.speak(&is_over));
        }
        let arrived = |flow: &Datagrams| flow.seen.lock().expect("not poisoned").len() as u64;
        let answered = |flow: &Conversation| flow.answered.load(Ordering::SeqCst);
        let enough = || {
            for flow in datagrams {
                let aim = arrived(flow) + ENOUGH;
                wait::until(flow.name, PATIENCE, || (arrived(flow) > aim).then_some(())).expect("datagrams arrive");
            }
            for flow in conversations {
                let aim = answered(flow) + ENOUGH;
                wait::until(flow.name, PATIENCE, || (answered(flow) > aim).then_some(()))
                    .unwrap_or_else(|late| panic!("{late}: {:?}", flow.broken.lock().expect("not poisoned")));
            }
        };
        enough();
        let sent = || datagrams.iter().map(|flow| (flow.name, flow.sent.load(Ordering::SeqCst)));
        let said = || conversations.iter().map(|flow| (flow.name, answered(flow)));
        let before: Vec<_> = sent().chain(said()).collect();
        let value = act();
        let during = before.iter().zip(sent().chain(said())).map(|(was, is)| (is.0, is.1 - was.1)).collect();
        enough();
        is_over.store(true, Ordering::SeqCst);
        let mut passed = Passed { during, losses: Vec::new() };
        for (flow, (_, first)) in datagrams.iter().zip(&before) {
            // the last ones are on their way
            let is_whole = || flow.lost_since(*first).is_empty().then_some(());
            let _ = wait::until("the last datagrams", Duration::from_secs(2), is_whole);
            let lost = flow.lost_since(*first);
            if !lost.is_empty() {
                passed.losses.push(format!("{}: {} lost: {lost:?}", flow.name, lost.len()));
            }
        }
        for flow in conversations {
            let resent: Vec<u64> = flow.resent.iter().map(|count| count.load(Ordering::SeqCst)).collect();
            let broken = flow.broken.lock().expect("not poisoned");
            if resent.iter().any(|count| *count > 0) || broken.is_some() {
                passed
                    .losses
                    .push(format!("{}: segments resent by client and server {resent:?}, {broken:?}", flow.name));
            }
        }
        (value, passed)
    })
}

/// Ends the threads of a scope when it is left.
struct End<'a>(&'a AtomicBool, &'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
        self.1.store(true, Ordering::SeqCst);
    }
}
