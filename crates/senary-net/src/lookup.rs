//! Resolves names with the system's resolver. It blocks, so it runs on a few threads of its own.
//!
//! If several callers ask for a name at the same time, the system is asked once: a thousand VUs that begin together cause one
//! question to a name server. `resolve` decides how long answers are kept and which address is used.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

/// Names that are looked up at the same time, at most.
const MAX_THREADS: usize = 64;
/// A thread that had nothing to do for this long ends.
const IDLE: Duration = Duration::from_secs(10);

/// Why there are no addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LookupError {
    /// There is no such name, or no address under it.
    NotFound,
    /// No name server could answer just now, so the name may exist. Contains the system's message.
    Temporary(String),
    /// The system's resolver failed. Contains its message.
    Failed(String),
    /// The resolver was not asked, because the system gives this process no thread.
    NoThread(String),
}

type Answer = Result<Arc<[IpAddr]>, LookupError>;

/// The functions that do the work; tests replace them.
struct System {
    resolve: fn(&str) -> io::Result<Vec<IpAddr>>,
    start: fn(Arc<Lookups>) -> io::Result<()>,
}

/// Lookups under way.
pub(crate) struct Lookups {
    state: Mutex<State>,
    /// There is a name to look up.
    queued: Condvar,
    system: System,
}

#[derive(Default)]
struct State {
    /// The callers that wait for each name.
    asking: HashMap<String, Vec<oneshot::Sender<Answer>>>,
    /// Names that no thread has taken yet.
    queue: VecDeque<String>,
    threads: usize,
    idle: usize,
}

impl Lookups {
    pub(crate) fn new() -> Arc<Self> {
        let resolve = |name: &str| {
            let known = fixed_addresses(name);
            if !known.is_empty() {
                return Ok(known);
            }
            Ok((name, 0).to_socket_addrs()?.map(|address| address.ip()).collect())
        };
        let start = |lookups: Arc<Self>| {
            let thread = std::thread::Builder::new().name("lookup".to_owned());
            thread.spawn(move || lookups.serve()).map(drop)
        };
        Self::by(System { resolve, start })
    }

    fn by(system: System) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), queued: Condvar::new(), system })
    }

    /// All addresses of a name, in the system's order.
    pub(crate) async fn look_up(self: &Arc<Self>, name: &str) -> Answer {
        let lost = || LookupError::Failed("the lookup was given up".to_owned());
        self.ask(name)?.await.unwrap_or_else(|_| Err(lost()))
    }

    fn ask(self: &Arc<Self>, name: &str) -> Result<oneshot::Receiver<Answer>, LookupError> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.lock();
        if let Some(asking) = state.asking.get_mut(name) {
            asking.push(sender);
            return Ok(receiver);
        }
        if state.queue.len() >= state.idle && state.threads < MAX_THREADS {
            match (self.system.start)(self.clone()) {
                Ok(()) => state.threads += 1,
                // The threads that exist will get to it.
                Err(_) if state.threads > 0 => {}
                Err(error) => return Err(LookupError::NoThread(error.to_string())),
            }
        }
        state.asking.insert(name.to_owned(), vec![sender]);
        state.queue.push_back(name.to_owned());
        drop(state);
        self.queued.notify_one();
        Ok(receiver)
    }

    /// What a thread runs: it looks up one name after the other, and ends after some time without any.
    fn serve(&self) {
        while let Some(name) = self.next() {
            let answer = (self.system.resolve)(&name).map(Arc::from).map_err(|error| reason(&error));
            let asking = self.lock().asking.remove(&name).unwrap_or_default();
            for sender in asking {
                // The caller may have stopped waiting.
                let _ = sender.send(answer.clone());
            }
        }
    }

    fn next(&self) -> Option<String> {
        let mut state = self.lock();
        state.idle += 1;
        let waited = self.queued.wait_timeout_while(state, IDLE, |state| state.queue.is_empty());
        state = waited.unwrap_or_else(PoisonError::into_inner).0;
        state.idle -= 1;
        let name = state.queue.pop_front();
        if name.is_none() {
            state.threads -= 1;
        }
        name
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every state in between is a valid one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Lookups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lookups").finish_non_exhaustive()
    }
}

/// The addresses in the hosts file of a name that ends in a dot; the C library does not look such names up there.
fn fixed_addresses(name: &str) -> Vec<IpAddr> {
    let Some(name) = name.strip_suffix('.') else { return Vec::new() };
    // A comment that is not UTF-8 must not hide the hosts.
    let hosts = std::fs::read("/etc/hosts").unwrap_or_default();
    let hosts = String::from_utf8_lossy(&hosts);
    let address_of = |line: &str| {
        let mut words = line.split('#').next()?.split_whitespace();
        let address = words.next()?.parse().ok()?;
        words.any(|word| word.eq_ignore_ascii_case(name)).then_some(address)
    };
    hosts.lines().filter_map(address_of).collect()
}

/// The system's reasons have no numbers in the standard library's errors: these are the texts of glibc and musl.
fn reason(error: &io::Error) -> LookupError {
    let text = error.to_string();
    let reason = text.rsplit(": ").next().unwrap_or_default();
    match reason {
        "Temporary failure in name resolution" | "Try again" => {
            LookupError::Temporary("temporary failure in name resolution".to_owned())
        }
        "Non-recoverable failure in name resolution" | "Unrecoverable error" => {
            LookupError::Failed("non-recoverable failure in name resolution".to_owned())
        }
        _ => LookupError::NotFound,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn on_thread(lookups: Arc<Lookups>) -> io::Result<()> {
        std::thread::spawn(move || lookups.serve());
        Ok(())
    }

    fn refused(_: Arc<Lookups>) -> io::Result<()> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    #[tokio::test]
    async fn who_asks_for_the_same_name_waits_for_one_answer() {
        static ASKED: AtomicUsize = AtomicUsize::new(0);
        static GATE: Mutex<Option<mpsc::Receiver<()>>> = Mutex::new(None);
        let (open, gate) = mpsc::channel();
        *GATE.lock().unwrap() = Some(gate);
        let resolve = |_: &str| {
            ASKED.fetch_add(1, Ordering::Relaxed);
            GATE.lock().unwrap().as_ref().unwrap().recv().unwrap();
            Ok(vec![HERE])
        };
        let lookups = Lookups::by(System { resolve, start: on_thread });
        let first: Vec<_> = (0..1000).map(|_| lookups.ask("a.test").unwrap()).collect();
        open.send(()).unwrap();
        for answer in first {
            assert_eq!(answer.await.unwrap().unwrap()[..], [HERE]);
        }
        assert_eq!(ASKED.load(Ordering::Relaxed), 1);
        // Nothing is remembered here.
        open.send(()).unwrap();
        assert!(lookups.look_up("a.test").await.is_ok());
        assert_eq!((ASKED.load(Ordering::Relaxed), lookups.lock().threads), (2, 1));
    }

    #[tokio::test]
    async fn many_names_share_few_threads() {
        let resolve = |name: &str| match name.len() % 2 {
            0 => Ok(vec![HERE]),
            _ => Err(io::Error::other("failed to lookup address information: Name or service not known")),
        };
        let lookups = Lookups::by(System { resolve, start: on_thread });
        let names: Vec<String> = (1..=500).map(|length| "n".repeat(length)).collect();
        let asked: Vec<_> = names.iter().map(|name| (name, lookups.ask(name).unwrap())).collect();
        for (name, answer) in asked {
            let answer = answer.await.unwrap().map(|addresses| addresses.to_vec());
            let expected = if name.len() % 2 == 0 { Ok(vec![HERE]) } else { Err(LookupError::NotFound) };
            assert_eq!(answer, expected, "{name}");
        }
        assert!(lookups.lock().threads <= MAX_THREADS);
        assert!(lookups.lock().asking.is_empty());
    }

    #[tokio::test]
    async fn without_a_thread_a_lookup_fails_and_leaves_nothing_behind() {
        let lookups = Lookups::by(System { resolve: |_| Ok(vec![HERE]), start: refused });
        for _ in 0..2 {
            assert!(matches!(lookups.look_up("a.test").await, Err(LookupError::NoThread(_))));
        }
        assert!(lookups.lock().asking.is_empty() && lookups.lock().queue.is_empty());
    }

    #[test]
    fn an_unknown_name_is_told_from_a_silent_name_server() {
        let reason =
            |text: &str| reason(&io::Error::other(format!("failed to lookup address information: {text}")));
        assert_eq!(reason("Name or service not known"), LookupError::NotFound);
        assert_eq!(reason("No address associated with hostname"), LookupError::NotFound);
        assert!(matches!(reason("Temporary failure in name resolution"), LookupError::Temporary(_)));
        assert!(matches!(reason("Non-recoverable failure in name resolution"), LookupError::Failed(_)));
    }
}
