//! The workers as the rest of the crate sees them: they run jobs, and VUs live on them.
//!
//! A worker is one thread with one single-threaded runtime. A job runs there and may spawn tasks that use the
//! worker's VUs; nothing of a VU ever leaves.

use std::cell::RefCell;
use std::convert::Infallible;
use std::io;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rustc_hash::FxHashMap;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{LocalSet, spawn_local};
use tokio_util::sync::CancellationToken;

use crate::idle;
use crate::meter::WorkerMeter;
use crate::pool::{VuLease, VuPool};
use crate::segment::Striping;
use crate::vu::{VuFactory, VuId};
use crate::worker::WorkerContext;

/// Something to do on a worker.
enum WorkerMessage<F: VuFactory> {
    Job(Box<dyn FnOnce(&Rc<Worker<F>>) + Send>),
    Close,
}

/// All workers, and which of their VUs are free.
pub(crate) struct Workers<F: VuFactory> {
    senders: Vec<mpsc::UnboundedSender<WorkerMessage<F>>>,
    pub(crate) pool: Arc<VuPool>,
    unplanned: Mutex<Unplanned>,
}

/// VUs that may be made during the run.
struct Unplanned {
    next: u64,
    left: u64,
}

/// A worker that is yet to run: its name and mailbox.
pub(crate) struct WorkerSeat<F: VuFactory> {
    pub(crate) index: usize,
    messages: mpsc::UnboundedReceiver<WorkerMessage<F>>,
}

impl<F: VuFactory> Workers<F> {
    /// `planned` VUs are made before the run, and up to `unplanned` more during it.
    pub(crate) fn new(workers: usize, planned: u64, unplanned: u64) -> (Self, Vec<WorkerSeat<F>>) {
        let (senders, seats) = (0..workers)
            .map(|index| {
                let (sender, messages) = mpsc::unbounded_channel();
                (sender, WorkerSeat { index, messages })
            })
            .unzip();
        let unplanned = Mutex::new(Unplanned { next: planned + 1, left: unplanned });
        (Self { senders, pool: VuPool::new(workers), unplanned }, seats)
    }

    /// The number of a VU to make during the run; None if there are as many as there may be.
    pub(crate) fn claim_unplanned(&self) -> Option<u64> {
        let mut unplanned = self.unplanned.lock().unwrap_or_else(PoisonError::into_inner);
        unplanned.left = unplanned.left.checked_sub(1)?;
        unplanned.next += 1;
        Some(unplanned.next - 1)
    }

    pub(crate) fn len(&self) -> usize {
        self.senders.len()
    }

    /// Runs `job` on a worker. After the end of the worker it is dropped.
    pub(crate) fn post(&self, worker: usize, job: impl FnOnce(&Rc<Worker<F>>) + Send + 'static) {
        let _ = self.senders[worker].send(WorkerMessage::Job(Box::new(job)));
    }

    /// Lets the workers end, each once its tasks have ended.
    pub(crate) fn close(&self) {
        for sender in &self.senders {
            let _ = sender.send(WorkerMessage::Close);
        }
    }
}

/// What a job finds on its worker.
pub(crate) struct Worker<F: VuFactory> {
    pub(crate) context: Rc<WorkerContext>,
    factory: Arc<F>,
    /// Numbers VUs within the whole test.
    striping: Striping,
    /// VUs that no task uses at the moment.
    vus: RefCell<FxHashMap<u64, F::Vu>>,
    /// Held by every task, so that the worker can wait for their end.
    busy: mpsc::Sender<()>,
}

impl<F: VuFactory> Worker<F> {
    /// Makes a VU and keeps it here. The caller adds it to the pool.
    pub(crate) async fn create(&self, vu: u64, interrupt: &CancellationToken) -> Result<(), F::Error> {
        let made = self.factory.create(self.id_of(vu), &self.context, interrupt).await?;
        self.vus.borrow_mut().insert(vu, made);
        self.context.state.vu_initialized();
        Ok(())
    }

    pub(crate) fn id_of(&self, vu: u64) -> VuId {
        VuId { in_instance: vu, in_test: self.striping.global(vu.saturating_sub(1)).saturating_add(1) }
    }

    /// Hands the leased VU to `f` and takes it back. None if it was lost in an earlier task.
    pub(crate) async fn with_vu<R>(
        &self,
        lease: &VuLease,
        f: impl AsyncFnOnce(&mut F::Vu) -> R,
    ) -> Option<R> {
        let mut vu = self.vus.borrow_mut().remove(&lease.vu)?;
        let result = f(&mut vu).await;
        self.vus.borrow_mut().insert(lease.vu, vu);
        Some(result)
    }

    /// Runs a task on this worker.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        let busy = self.busy.clone();
        spawn_local(async move {
            task.await;
            drop(busy);
        });
    }
}

/// A worker at work on a thread.
pub(crate) struct WorkerThread {
    thread: JoinHandle<()>,
    /// Nothing is sent: it is closed when the thread comes to its end.
    ended: oneshot::Receiver<Infallible>,
}

impl WorkerThread {
    /// Waits for its end without holding up the caller's thread.
    pub(crate) async fn join(self) {
        // A worker that panicked has said so.
        let _ = self.ended.await;
        let _ = self.thread.join();
    }
}

impl<F: VuFactory> WorkerSeat<F> {
    /// Starts the worker on a thread of its own.
    pub(crate) fn start(
        self,
        factory: Arc<F>,
        striping: Striping,
        meter: Arc<WorkerMeter>,
        context: impl FnOnce() -> Rc<WorkerContext> + Send + 'static,
    ) -> io::Result<WorkerThread> {
        // The thread comes first: if there is none, there is no runtime to drop, which would not be allowed within the
        // caller's own.
        let (hand, handed) = std::sync::mpsc::sync_channel::<Runtime>(1);
        let (end, ended) = oneshot::channel();
        let thread = std::thread::Builder::new().name(format!("worker-{}", self.index)).spawn(move || {
            // Without a runtime, nothing waits for this thread.
            let Ok(runtime) = handed.recv() else { return };
            let (_end, local, context) = (end, LocalSet::new(), context());
            context.meter.adopt_thread();
            runtime.block_on(local.run_until(self.work(factory, striping, context)));
        })?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .on_thread_park(move || idle::before_sleep(&meter))
            .on_thread_unpark(idle::after_sleep)
            .build()?;
        // It waits for nothing else.
        let _ = hand.send(runtime);
        Ok(WorkerThread { thread, ended })
    }

    /// The worker's life: jobs until it is closed, then the end of all tasks, then that of the VUs.
    pub(crate) async fn work(mut self, factory: Arc<F>, striping: Striping, context: Rc<WorkerContext>) {
        let (busy, mut all_idle) = mpsc::channel(1);
        let worker =
            Rc::new(Worker { context, factory: factory.clone(), striping, vus: RefCell::default(), busy });
        let context = worker.context.clone();
        let flushing = spawn_local(async move { context.flush_regularly().await });
        while let Some(WorkerMessage::Job(job)) = self.messages.recv().await {
            job(&worker);
        }
        let context = worker.context.clone();
        let vus = worker.vus.take();
        drop(worker);
        // Tasks hold the worker, and with it the sender.
        let _ = all_idle.recv().await;
        vus.into_values().for_each(|vu| factory.retire(vu));
        flushing.abort();
        context.flush();
    }
}
