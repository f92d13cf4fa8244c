//! Who calls whom: recursion and the length of chains of calls.
//!
//! The graph is walked without recursion, since a file may declare more functions than a stack is deep.

use std::collections::HashMap;

use super::{Checker, FunctionId, TypeId, VariableId, VariableKind};
use crate::diagnostic::{Code, Diagnostic};
use crate::source::Span;
use crate::syntax::Name;

/// What can lead to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Node {
    /// A function: its body calls.
    Function(FunctionId),
    /// A binding of a match: its value calls, and reading it is like a call.
    Binding(VariableId),
    /// A declared type: its conditions call, and it may stand for another type. That a *part* of its value has a type is no
    /// call, since parts are smaller than the whole.
    Type(TypeId),
}

/// The edges, each with where it is written.
#[derive(Debug, Default)]
pub(super) struct Calls {
    edges: HashMap<Node, Vec<(Node, Span)>>,
    /// In the order in which they were met, so that what is reported does not depend on hashing.
    nodes: Vec<Node>,
}

/// The names of a chain that a message prints.
const CHAIN_NAMES_MAX: usize = 30;

impl Checker<'_> {
    /// Notes that what is being checked leads to `callee`.
    pub(super) fn note_call(&mut self, callee: Node, span: Span) {
        if let Some(caller) = self.caller {
            let edges = self.calls.edges.entry(caller).or_insert_with(|| {
                self.calls.nodes.push(caller);
                Vec::new()
            });
            edges.push((callee, span));
        }
    }

    /// Reports circles and chains that are too long.
    pub(super) fn check_calls(&mut self) {
        let calls = std::mem::take(&mut self.calls);
        // How many functions the longest chain from a node has, and its next node.
        let mut done: HashMap<Node, (usize, Option<Node>)> = HashMap::new();
        for start in &calls.nodes {
            self.walk_calls(*start, &calls, &mut done);
        }
        let limit = usize::from(self.limits.call_depth_max);
        for start in &calls.nodes {
            let Some((length, _)) = done.get(start).copied() else {
                continue;
            };
            // The first function that exceeds the limit is enough: every caller of it does, too.
            let is_first = length == limit + 1 && self.is_function(*start);
            if is_first {
                let mut chain = Vec::new();
                let mut next = Some(*start);
                while let Some(node) = next {
                    chain.push(self.node_name(node).text.to_string());
                    next = done.get(&node).and_then(|(_, next)| *next);
                }
                let name = self.node_name(*start);
                let message = format!(
                    "a chain of {length} calls starts here, and the limit is {limit}: {}",
                    join_chain(&chain)
                );
                self.report(Diagnostic::new(Code::Limit, name.span, message));
            }
        }
    }

    fn is_function(&self, node: Node) -> bool {
        matches!(node, Node::Function(_))
    }

    /// Finds out about everything that `start` leads to.
    fn walk_calls(&mut self, start: Node, calls: &Calls, done: &mut HashMap<Node, (usize, Option<Node>)>) {
        if done.contains_key(&start) {
            return;
        }
        // The nodes from `start` to the current one, and which of its edges comes next.
        let mut path: Vec<(Node, usize)> = vec![(start, 0)];
        let mut on_path: HashMap<Node, usize> = HashMap::from([(start, 0)]);
        while let Some((node, next)) = path.last_mut() {
            let node = *node;
            let edges = calls.edges.get(&node).map_or(&[][..], Vec::as_slice);
            if let Some((callee, span)) = edges.get(*next).copied() {
                *next += 1;
                if let Some(from) = on_path.get(&callee) {
                    let circle: Vec<Node> = path[*from..].iter().map(|(node, _)| *node).collect();
                    self.report_circle(&circle, span);
                } else if !done.contains_key(&callee) {
                    on_path.insert(callee, path.len());
                    path.push((callee, 0));
                }
                continue;
            }
            let longest = edges
                .iter()
                .filter_map(|(callee, _)| Some((done.get(callee)?.0, *callee)))
                .max();
            let own = usize::from(self.is_function(node));
            done.insert(
                node,
                match longest {
                    Some((length, callee)) => (length + own, Some(callee)),
                    None => (own, None),
                },
            );
            on_path.remove(&node);
            path.pop();
        }
    }

    fn report_circle(&mut self, circle: &[Node], span: Span) {
        let mut names: Vec<String> = circle
            .iter()
            .map(|node| self.node_name(*node).text.to_string())
            .collect();
        names.extend(names.first().cloned());
        let chain = join_chain(&names);
        let message = if circle.iter().all(|node| matches!(node, Node::Type(_))) {
            format!("the type contains itself without end: {chain}")
        } else {
            format!("recursive call is not allowed: {chain}")
        };
        self.report(Diagnostic::new(Code::Recursion, span, message));
    }

    fn node_name(&self, node: Node) -> Name {
        match node {
            Node::Function(id) => self.checked.function(id).name.clone(),
            Node::Binding(id) => self.checked.variable(id).name.clone(),
            Node::Type(id) => self.checked.type_declaration(id).name.clone(),
        }
    }

    /// Marks a variable as read; reading a match's binding evaluates it, which is a call.
    pub(super) fn use_variable(&mut self, id: VariableId, span: Span) {
        self.used_variables[id.0 as usize] = true;
        if matches!(self.checked.variable(id).kind, VariableKind::MatchLet(_)) {
            self.note_call(Node::Binding(id), span);
        }
    }
}

/// `a → b → c`, shortened in the middle.
fn join_chain(names: &[String]) -> String {
    if names.len() <= CHAIN_NAMES_MAX {
        return names.join(" → ");
    }
    let half = CHAIN_NAMES_MAX / 2;
    format!(
        "{} → … → {}",
        names[..half].join(" → "),
        names[names.len() - half..].join(" → ")
    )
}
