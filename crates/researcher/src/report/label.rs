//! Names at the ends of lines, moved apart so that none covers another.

/// Gives each label a place at least `distance` from its neighbours and inside `low` to `high`,
/// near its `wanted` place and in the same order.
pub(super) fn spread(wanted: &[f64], distance: f64, low: f64, high: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|left, right| wanted[*left].total_cmp(&wanted[*right]));
    let mut places = vec![0.0; wanted.len()];
    let mut floor = low;
    for index in &order {
        places[*index] = wanted[*index].max(floor);
        floor = places[*index] + distance;
    }
    let mut ceiling = high;
    for index in order.iter().rev() {
        places[*index] = places[*index].min(ceiling);
        ceiling = places[*index] - distance;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_keep_their_distance_order_and_bounds() {
        let places = spread(&[50.0, 51.0, 99.0, 50.5], 10.0, 0.0, 100.0);
        assert_eq!(places, [50.0, 70.0, 99.0, 60.0]);
        let low = spread(&[99.0, 98.0], 10.0, 0.0, 100.0);
        assert_eq!(low, [100.0, 90.0]);
    }
}
