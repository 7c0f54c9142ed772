//! How many connections there are, and from where.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::Settings;

/// Counts open connections.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    counts: Mutex<HashMap<IpAddr, usize>>,
}

/// One connection's place; dropping it makes room for another.
#[derive(Debug)]
pub(super) struct Place {
    crowd: Arc<Crowd>,
    address: IpAddr,
}

impl Crowd {
    /// Gives a new connection a place, or none where the settings leave none.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr, settings: &Settings) -> Option<Place> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let everywhere: usize = counts.values().sum();
        let here = counts.get(&address).copied().unwrap_or(0);
        if everywhere >= settings.connections || here >= settings.connections_per_address {
            return None;
        }
        counts.insert(address, here + 1);
        Some(Place { crowd: Arc::clone(self), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.crowd.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn places_are_bounded_per_address_and_in_all_and_come_back() {
        let settings =
            Settings { connections_per_address: 2, connections: 3, ..Settings::default() };
        let crowd = Arc::new(Crowd::default());
        let north = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1));
        let south = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
        let first = crowd.enter(north, &settings).unwrap();
        let _second = crowd.enter(north, &settings).unwrap();
        assert!(crowd.enter(north, &settings).is_none());
        let _third = crowd.enter(south, &settings).unwrap();
        assert!(crowd.enter(south, &settings).is_none());
        drop(first);
        assert!(crowd.enter(south, &settings).is_some());
    }
}
