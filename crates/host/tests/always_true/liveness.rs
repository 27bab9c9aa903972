//! How long the machine needs to arrive, at most.

use crate::explore::{Explorer, Forced};

/// The most boots from any state until the machine arrives, with the state; an error names a state from where it never
/// does.
pub fn longest(
    explorer: &Explorer,
    arrived: &[bool],
    follow: impl Fn(&Forced) -> bool,
) -> Result<(u32, usize), usize> {
    let count = explorer.forced.len();
    let mut boots: Vec<Option<u32>> = vec![None; count];
    let mut on_the_way = vec![false; count];
    let mut longest = (0, 0);
    for first in 0..count {
        // Depth first, without recursion: a path may be long.
        let mut stack = vec![(first, 0)];
        while let Some((id, next)) = stack.pop() {
            if next == 0 {
                if boots[id].is_some() {
                    continue;
                }
                if arrived[id] {
                    boots[id] = Some(0);
                    continue;
                }
                on_the_way[id] = true;
            }
            let mut edges = explorer.forced[id].iter().filter(|edge| follow(edge)).skip(next);
            if let Some(edge) = edges.next() {
                stack.push((id, next + 1));
                if on_the_way[edge.to] {
                    return Err(edge.to);
                }
                stack.push((edge.to, 0));
                continue;
            }
            on_the_way[id] = false;
            let most = explorer.forced[id].iter().filter(|edge| follow(edge));
            let most = most.map(|edge| boots[edge.to].unwrap_or(0) + edge.boots).max();
            // No way on: it is stuck.
            let Some(most) = most else { return Err(id) };
            boots[id] = Some(most);
            if most > longest.0 {
                longest = (most, id);
            }
        }
    }
    Ok(longest)
}
