//! The height of trees: how it is counted and bounded.

use super::{Expr, TypeExpr};

/// The levels that a tree of expressions or types may have. It bounds every recursion over trees: parsing, checking,
/// evaluating, dropping. Chains count too: `a && b && c` is as high as `(a && b) && c`.
pub const TREE_HEIGHT_MAX: u16 = 256;

/// The height of a node above children of these heights.
pub(crate) fn height_of(children: impl IntoIterator<Item = u16>) -> u16 {
    children.into_iter().max().unwrap_or(0).saturating_add(1)
}

impl Expr {
    /// The height of its children plus one, recomputed from them.
    pub(crate) fn children_height(&self) -> u16 {
        let mut heights = Vec::new();
        self.for_each_child(|child| heights.push(child.height));
        height_of(heights)
    }
}

impl TypeExpr {
    /// How many levels there are, this one included.
    pub(crate) fn height(&self) -> u16 {
        self.height
    }
}
