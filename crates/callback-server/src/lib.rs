//! The only part of hubkey that browsers reach.
//!
//! It renders pages and relays what browsers send to token-broker; it keeps nothing, decides nothing, and holds no
//! secret but the credential of the broker's internal listener. A request passes the Fetch Metadata check
//! (`fetch_metadata`: only a person's own navigation), one handler (`routes`) that hands it to the broker, and `response`, which turns the broker's reply into
//! a page (`pages`) or a redirect; `headers` are on every answer.
//!
//! | path below the public URL | what it is |
//! |---|---|
//! | `GET /start/{ticket}` | the link in the notebook |
//! | `GET /oauth_callback` | back from the Hub |
//! | `GET /callback/{provider}` | back from a provider |
//! | `GET /sign-in/{flow}` | the page that belongs to a flow: start, confirm, done, ended |
//! | `POST /continue/{flow}`, `POST /confirm/{flow}` | what a person decided |
//! | `GET /` | says what this is |

mod app;
mod cookies;
mod fetch_metadata;
mod headers;
mod pages;
mod params;
mod reference;
mod response;
mod routes;
mod run;
pub mod settings;
mod site;

pub use app::{App, Parts};
pub use routes::router;
pub use run::run;
pub use site::{SiteError, SiteState, SiteWatcher};
