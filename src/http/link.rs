//! What a connection's parts know of one another: its I/O, the request in progress, its deadline, and whoever closes it.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
};

use hyper::StatusCode;

/// What a connection is waiting for. Each stage has a deadline of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The next request.
    Idle,
    /// The rest of a request line and its headers.
    Head,
    /// The rest of a body.
    Body,
    /// The recorder.
    Recording,
    /// The client, to take the answer.
    Answering,
}

/// What a connection is told from outside its task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Serve = 0,
    Drain = 1,
    Close = 2,
}

/// One connection. The atomics are written by one thread at a time and order nothing: all tasks share a thread.
#[derive(Debug)]
pub(super) struct Link {
    /// Grows with each connection.
    pub(super) id: u64,
    /// Which of the server's listeners it came by.
    pub(super) listener: u64,
    /// Tick of its last valid push, 0 before the first.
    pub(super) last_push: AtomicU64,
    /// Bytes of the body that it holds.
    pub(super) body_bytes: AtomicUsize,
    stage: AtomicU8,
    /// Grows with each change of the stage.
    stage_changes: AtomicU32,
    /// The recorder's time is over.
    overdue: AtomicBool,
    /// The request's body is not read, or not to its end.
    unread: AtomicBool,
    /// The status with which hyper refused what it could not read as HTTP, 0 if it did not.
    refusal: AtomicU16,
    order: AtomicU8,
    waker: Mutex<Option<Waker>>,
}

impl Link {
    pub(super) fn new(id: u64, listener: u64) -> Self {
        Self {
            id,
            listener,
            last_push: AtomicU64::new(0),
            body_bytes: AtomicUsize::new(0),
            stage: AtomicU8::new(Stage::Head as u8),
            stage_changes: AtomicU32::new(0),
            overdue: AtomicBool::new(false),
            unread: AtomicBool::new(false),
            refusal: AtomicU16::new(0),
            order: AtomicU8::new(Order::Serve as u8),
            waker: Mutex::new(None),
        }
    }

    pub(super) fn stage(&self) -> Stage {
        const STAGES: [Stage; 5] = [Stage::Idle, Stage::Head, Stage::Body, Stage::Recording, Stage::Answering];
        STAGES[usize::from(self.stage.load(Relaxed))]
    }

    /// Differs from what it was before if the stage has changed since.
    pub(super) fn stage_changes(&self) -> u32 {
        self.stage_changes.load(Relaxed)
    }

    pub(super) fn enter(&self, stage: Stage) {
        self.stage.store(stage as u8, Relaxed);
        self.stage_changes.store(self.stage_changes().wrapping_add(1), Relaxed);
    }

    /// A request's head is read, and a body follows or does not.
    pub(super) fn begin_request(&self, has_body: bool) {
        self.overdue.store(false, Relaxed);
        self.unread.store(has_body, Relaxed);
        self.enter(Stage::Body);
    }

    pub(super) fn note_body_read(&self) {
        self.unread.store(false, Relaxed);
    }

    pub(super) fn was_left_unread(&self) -> bool {
        self.unread.load(Relaxed)
    }

    pub(super) fn refuse(&self, status: StatusCode) {
        self.refusal.store(status.as_u16(), Relaxed);
    }

    pub(super) fn refusal(&self) -> Option<StatusCode> {
        StatusCode::from_u16(self.refusal.load(Relaxed)).ok()
    }

    /// Ends [`Self::unless_overdue`] when its task is next polled. False if that was done before.
    pub(super) fn give_up_recording(&self) -> bool {
        !self.overdue.swap(true, Relaxed)
    }

    /// The future's output, or `None` once the connection's deadline has passed: that one timer serves all stages.
    pub(super) async fn unless_overdue<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if self.overdue.load(Relaxed) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    /// The future's end, unless the connection is told to close before.
    pub(super) async fn until_closed(&self, future: impl Future<Output = ()>) {
        let mut future = pin!(future);
        poll_fn(|cx| {
            self.hear_orders(cx);
            if self.order.load(Relaxed) == Order::Close as u8 { Poll::Ready(()) } else { future.as_mut().poll(cx) }
        })
        .await;
    }

    /// The future's output, or `None` once the connection is told to finish: nothing is in progress yet.
    pub(super) async fn unless_draining<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        poll_fn(|cx| if self.is_draining() { Poll::Ready(None) } else { future.as_mut().poll(cx).map(Some) }).await
    }

    fn hear_orders(&self, cx: &Context<'_>) {
        let mut waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => *waker = Some(cx.waker().clone()),
        }
    }

    /// Makes it finish the request in progress, and close.
    pub(super) fn drain(&self) {
        self.tell(Order::Drain);
    }

    pub(super) fn is_draining(&self) -> bool {
        self.order.load(Relaxed) == Order::Drain as u8
    }

    /// Makes it close now.
    pub(super) fn close(&self) {
        self.tell(Order::Close);
    }

    fn tell(&self, order: Order) {
        self.order.fetch_max(order as u8, Relaxed);
        let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waker) = &*waker {
            waker.wake_by_ref();
        }
    }
}
