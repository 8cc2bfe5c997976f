//! May this connection exist? Ceilings per host, per network and in total, and who leaves when it is full.
