//! The parent: reads nothing from the network; starts, watches and restarts the others.
