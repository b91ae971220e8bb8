//! What both hubkey servers do alike: settings, telemetry, HTTP layers, health, accept loop, shutdown.

pub mod settings;
