//! Reads the audit stream of one test.

use std::{
    cell::RefCell,
    fmt::{Debug, Write},
    sync::{Arc, Mutex, Once},
};

use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context, layer::SubscriberExt, registry};

type Events = Arc<Mutex<Vec<String>>>;

/// One listener for the process: one for each thread would miss the events whose callsite another test's thread
/// reached first, since tracing then remembers that nobody listens.
static LISTEN: Once = Once::new();

thread_local! {
    /// Where the events of this thread's test go; each test runs in a thread of its own.
    static TRAIL: RefCell<Option<Events>> = const { RefCell::new(None) };
    /// As [`TRAIL`], for warnings and errors of the log.
    static WARNINGS: RefCell<Option<Events>> = const { RefCell::new(None) };
}

/// The events that were told while it lives, in this thread, and the log lines that an operator has to read.
pub(crate) struct AuditTrail {
    events: Events,
    warnings: Events,
}

impl AuditTrail {
    pub(crate) fn begin() -> Self {
        LISTEN.call_once(|| {
            tracing::subscriber::set_global_default(registry().with(Listener))
                .expect("nobody else listens");
        });
        let events = Events::default();
        TRAIL.set(Some(Arc::clone(&events)));
        let warnings = Events::default();
        WARNINGS.set(Some(Arc::clone(&warnings)));
        Self { events, warnings }
    }

    /// The warnings and errors of the log, each as `message key=value …`.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.warnings.lock().expect("no test panicked here").clone()
    }

    /// The events, each as `name key=value …`.
    pub(crate) fn events(&self) -> Vec<String> {
        self.events.lock().expect("no test panicked here").clone()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.events()
            .iter()
            .any(|event| event.split(' ').next() == Some(name))
    }

    /// Whether an event of that name says this of itself: `reason=wish_refused`.
    pub(crate) fn says(&self, name: &str, what: &str) -> bool {
        self.events().iter().any(|event| {
            let mut words = event.split(' ');
            words.next() == Some(name) && words.any(|word| word == what)
        })
    }
}

impl Drop for AuditTrail {
    fn drop(&mut self) {
        TRAIL.set(None);
        WARNINGS.set(None);
    }
}

struct Listener;

impl<S: Subscriber> Layer<S> for Listener {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let told = event.metadata();
        if told.target() == "audit" {
            TRAIL.with_borrow(|trail| note(trail.as_ref(), event));
        } else if *told.level() <= Level::WARN {
            WARNINGS.with_borrow(|warnings| note(warnings.as_ref(), event));
        }
    }
}

fn note(events: Option<&Events>, event: &Event<'_>) {
    if let Some(events) = events {
        let mut line = Line::default();
        event.record(&mut line);
        let line = format!("{}{}", line.name, line.rest);
        events.lock().expect("no test panicked here").push(line);
    }
}

#[derive(Default)]
struct Line {
    name: String,
    rest: String,
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "event" {
            value.clone_into(&mut self.name);
        } else {
            let _ = write!(self.rest, " {}={value}", field.name());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.rest, " {}={value:?}", field.name());
    }
}
