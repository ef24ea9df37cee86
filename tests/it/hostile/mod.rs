//! Clients that are late, forgetful, slow or dishonest: none of them changes what honest ones see.

#[cfg(unix)]
mod bodies;
#[cfg(unix)]
mod doors;
mod letters;
#[cfg(unix)]
mod lost;
#[cfg(unix)]
mod slow;
