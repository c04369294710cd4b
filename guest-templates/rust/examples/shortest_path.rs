use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

/// Returns the length of the shortest way through a weighted graph, or nothing when there is none.
pub fn shortest_path(edges: Vec<(String, String, u32)>, from: String, to: String) -> Option<u32> {
    let mut next: HashMap<&str, Vec<(&str, u32)>> = HashMap::new();
    for (a, b, length) in &edges {
        next.entry(a).or_default().push((b, *length));
    }
    let mut best: HashMap<&str, u32> = HashMap::new();
    let mut open = BinaryHeap::from([(Reverse(0), from.as_str())]);
    while let Some((Reverse(length), place)) = open.pop() {
        if place == to {
            return Some(length);
        }
        if best.get(place).is_some_and(|known| *known <= length) {
            continue;
        }
        best.insert(place, length);
        for (further, step) in next.get(place).into_iter().flatten() {
            open.push((Reverse(length + step), further));
        }
    }
    None
}
