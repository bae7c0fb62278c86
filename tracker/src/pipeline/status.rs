//! The board: how the tracker is, written by its threads, read by whoever asks.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tracing::warn;

use crate::causes::causes;
use crate::control::api::{BpfProgramView, LossView, SelfTestView, SetAsideView, SourceState, SourceView};
use crate::journal::JournalError;
use crate::model::gap::Source;

/// Kinds of undecoded records that are told apart; more share the last.
const MAX_UNDECODED_KINDS: usize = 16;

/// How the tracker is.
#[derive(Debug)]
pub struct Board {
    started: Instant,
    appended: watch::Sender<()>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    is_ready: bool,
    sources: Vec<SourceView>,
    self_test: Vec<SelfTestView>,
    bpf: Vec<BpfProgramView>,
    set_aside: Option<SetAsideView>,
    losses: BTreeMap<Source, LossView>,
    undecoded: BTreeMap<String, u64>,
    journal_failure: Option<String>,
    capture_failure: Option<String>,
}

/// What the board shows.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Whether stock has been taken and recording goes on.
    pub is_ready: bool,
    /// Where records come from.
    pub sources: Vec<SourceView>,
    /// What the start-up self-test found.
    pub self_test: Vec<SelfTestView>,
    /// BPF programs.
    pub bpf: Vec<BpfProgramView>,
    /// An unreadable journal that was put aside.
    pub set_aside: Option<SetAsideView>,
    /// Records lost.
    pub losses: Vec<LossView>,
    /// Time since the start.
    pub uptime: Duration,
}

impl Default for Board {
    fn default() -> Self {
        Self { started: Instant::now(), appended: watch::Sender::new(()), state: Mutex::default() }
    }
}

impl Board {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marked changed after every append.
    pub fn appended(&self) -> watch::Receiver<()> {
        self.appended.subscribe()
    }

    /// Tells followers that the journal grew.
    pub fn publish(&self) {
        self.appended.send_replace(());
    }

    /// Stock has been taken.
    pub fn ready(&self) {
        self.state().is_ready = true;
    }

    /// How a source is; replaces what was said of it before.
    pub fn source(&self, name: &str, source: SourceState, detail: String, remedy: Option<String>) {
        let view = SourceView { name: name.to_owned(), state: source, detail, remedy };
        let mut state = self.state();
        match state.sources.iter_mut().find(|known| known.name == name) {
            Some(known) => *known = view,
            None => state.sources.push(view),
        }
    }

    /// What BPF came to.
    pub fn bpf(&self, programs: Vec<BpfProgramView>, self_test: Vec<SelfTestView>) {
        let mut state = self.state();
        state.bpf = programs;
        state.self_test = self_test;
    }

    /// A journal was set aside.
    pub fn set_aside(&self, view: SetAsideView) {
        self.state().set_aside = Some(view);
    }

    /// A record was not understood.
    pub fn undecoded(&self, what: &str, why: &str) {
        let mut state = self.state();
        let key = if state.undecoded.contains_key(what) || state.undecoded.len() < MAX_UNDECODED_KINDS {
            what
        } else {
            "other records"
        };
        let count = state.undecoded.entry(key.to_owned()).or_default();
        *count += 1;
        // a kernel that speaks differently does so often: once is enough to know
        if *count == 1 {
            warn!(%what, %why, "a record was not understood");
        }
    }

    /// A stream lost records.
    pub fn lost(&self, source: Source, lost: Option<u64>) {
        let mut state = self.state();
        let view = state.losses.entry(source).or_insert(LossView { source, times: 0, records: 0 });
        view.times += 1;
        view.records += lost.unwrap_or_default();
    }

    /// The journal took everything.
    pub fn journal_works(&self) {
        self.state().journal_failure = None;
    }

    /// The journal failed.
    pub fn journal_failed(&self, operation: &str, error: &JournalError) {
        let text = format!("cannot {operation}: {}", causes(error));
        self.state().journal_failure = Some(text);
    }

    /// Capturing ended before its time.
    pub fn capture_failed(&self, why: String) {
        self.state().capture_failure = Some(why);
    }

    /// All of it.
    pub fn show(&self) -> Shown {
        let state = self.state();
        let mut sources = state.sources.clone();
        if let Some(why) = &state.capture_failure {
            sources.push(SourceView {
                name: "capture".to_owned(),
                state: SourceState::Off,
                detail: why.clone(),
                remedy: Some("restart netdeedd".to_owned()),
            });
        }
        if let Some(why) = &state.journal_failure {
            sources.push(SourceView {
                name: "journal".to_owned(),
                state: SourceState::Degraded,
                detail: why.clone(),
                remedy: Some("make room on the journal's filesystem; what waits is recorded then".to_owned()),
            });
        }
        if !state.undecoded.is_empty() {
            let counts: Vec<String> = state.undecoded.iter().map(|(what, count)| format!("{count} {what}")).collect();
            sources.push(SourceView {
                name: "decode".to_owned(),
                state: SourceState::Degraded,
                detail: format!("not understood: {}", counts.join(", ")),
                remedy: Some("this kernel may be newer than this netdeed".to_owned()),
            });
        }
        Shown {
            is_ready: state.is_ready,
            sources,
            self_test: state.self_test.clone(),
            bpf: state.bpf.clone(),
            set_aside: state.set_aside.clone(),
            losses: state.losses.values().cloned().collect(),
            uptime: self.started.elapsed(),
        }
    }
}
