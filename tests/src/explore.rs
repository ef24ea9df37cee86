//! Visits every state that a small workflow can reach.
