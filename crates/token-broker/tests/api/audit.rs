//! Reads the audit stream of one test.

use std::{
    fmt::Debug,
    sync::{Arc, Mutex},
};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    subscriber::DefaultGuard,
};
use tracing_subscriber::{Layer, layer::Context, layer::SubscriberExt, registry};

/// The events that were told while it lives, in this thread.
pub(crate) struct AuditTrail {
    events: Arc<Mutex<Vec<String>>>,
    _guard: DefaultGuard,
}

impl AuditTrail {
    pub(crate) fn begin() -> Self {
        let events = Arc::default();
        let layer = Listener(Arc::clone(&events));
        Self {
            events,
            _guard: tracing::subscriber::set_default(registry().with(layer)),
        }
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
}

struct Listener(Arc<Mutex<Vec<String>>>);

impl<S: Subscriber> Layer<S> for Listener {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "audit" {
            let mut line = Line::default();
            event.record(&mut line);
            self.0
                .lock()
                .expect("no test panicked here")
                .push(format!("{}{}", line.name, line.rest));
        }
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
            self.rest.push_str(&format!(" {}={value}", field.name()));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.rest.push_str(&format!(" {}={value:?}", field.name()));
    }
}
