//! Where the servers of a cluster run.

/// Where the two servers run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In a pod of their own.
    OwnPod,
    /// In the hub's pod.
    BesideTheHub,
}
