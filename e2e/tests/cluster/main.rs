//! hubkey on a Kubernetes cluster: the chart beside a hub that has the values of `k8s/z2jh/values.yaml`.
//!
//! All tests share one installation, and take turns, since each of them upgrades it, kills its pods or opens its policies.

mod doors;
mod ends;
mod life;
mod sign_in;
mod support;
