//! How many connections there are, from where, and of how many it is not known yet whose they are.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Settings;

/// Counts open connections.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    counts: Mutex<HashMap<IpAddr, Count>>,
}

/// The connections of one address.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    all: usize,
    strangers: usize,
}

/// One connection's place; dropping it makes room for another.
///
/// It is a stranger's, of which there are few, until the connection has shown a member's certificate.
#[derive(Debug)]
pub(super) struct Place {
    crowd: Arc<Crowd>,
    address: IpAddr,
    is_stranger: bool,
}

impl Crowd {
    /// Gives a new connection a place, or none where the settings leave none.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr, settings: &Settings) -> Option<Place> {
        let mut counts = self.counts();
        let here = counts.get(&address).copied().unwrap_or_default();
        let everywhere = |of: fn(&Count) -> usize| counts.values().map(of).sum::<usize>();
        let is_full = everywhere(|count| count.all) >= settings.connections
            || everywhere(|count| count.strangers) >= settings.strangers
            || here.all >= settings.connections_per_address
            || here.strangers >= settings.strangers_per_address;
        if is_full {
            return None;
        }
        counts.insert(address, Count { all: here.all + 1, strangers: here.strangers + 1 });
        Some(Place { crowd: Arc::clone(self), address, is_stranger: true })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<IpAddr, Count>> {
        // Every change is one assignment that cannot panic half-way.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Leaves the strangers: it is known whose connection it is.
    pub(super) fn recognise(&mut self) {
        if !std::mem::take(&mut self.is_stranger) {
            return;
        }
        if let Some(count) = self.crowd.counts().get_mut(&self.address) {
            count.strangers -= 1;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.crowd.counts();
        if let Some(count) = counts.get_mut(&self.address) {
            count.all -= 1;
            count.strangers -= usize::from(self.is_stranger);
            if count.all == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const NORTH: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1));
    const SOUTH: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

    #[test]
    fn places_are_bounded_per_address_and_in_all_and_come_back() {
        let settings =
            Settings { connections_per_address: 2, connections: 3, ..Settings::default() };
        let crowd = Arc::new(Crowd::default());
        let first = crowd.enter(NORTH, &settings).unwrap();
        let _second = crowd.enter(NORTH, &settings).unwrap();
        assert!(crowd.enter(NORTH, &settings).is_none());
        let _third = crowd.enter(SOUTH, &settings).unwrap();
        assert!(crowd.enter(SOUTH, &settings).is_none());
        drop(first);
        assert!(crowd.enter(SOUTH, &settings).is_some());
    }

    #[test]
    fn strangers_have_few_places_and_take_none_of_whoever_is_known() {
        let settings = Settings { strangers_per_address: 2, strangers: 3, ..Settings::default() };
        let crowd = Arc::new(Crowd::default());
        let mut known = crowd.enter(NORTH, &settings).unwrap();
        known.recognise();
        known.recognise();
        let strangers = [NORTH, NORTH, SOUTH].map(|from| crowd.enter(from, &settings).unwrap());
        assert!(crowd.enter(NORTH, &settings).is_none(), "two of one address");
        assert!(crowd.enter(SOUTH, &settings).is_none(), "three in all");
        let [mut one, other, third] = strangers;
        one.recognise();
        let next = crowd.enter(SOUTH, &settings).unwrap();
        drop((one, other, third, next, known));
        assert!(crowd.counts().is_empty());
    }
}
