//! From the tree and what the checker found out to the [core](super::core).
//!
//! Nothing is refused here: what the checker only warns of becomes a node that fails when it is evaluated.

use std::collections::HashMap;
use std::sync::Arc;

use super::core::{
    Allow, Body, Children, Core, FieldShape, Function, MatchId, MatchNode, MethodCall, Node, NodeId,
    NodeKind, PathPiece, PatternSegment, Shape, Wanted,
};
use super::fault::Fault;
use super::matching::covers_groups;
use super::method::Methods;
use super::pattern::compile;
use crate::check::{Checked, Resolution, VariableId};
use crate::language::{BuiltinId, Kinds, all_builtins};
use crate::program::Program;
use crate::source::Span;
use crate::syntax::{
    BinaryOperator, Expr, ExprId, ExprKind, File, LanguageVersion, Let, Match, Member, Name, PathPartKind,
    Pattern, SegmentKind, Service, ServiceKind, TypeExpr, TypeKind, UnaryOperator,
};

/// Lowers a program that has been checked.
pub(crate) fn lower(program: &Program, checked: &Checked) -> Core {
    let mut lowering = Lowering {
        checked,
        core: Core::default(),
        places: HashMap::new(),
        locals: 0,
    };
    // Places first: a function may be called before the match around it is lowered.
    for file in program.roots() {
        for service in file.services() {
            lowering.place_members(&service.members, 0, &mut 0);
        }
    }
    for function in checked.functions() {
        let lowered = lowering.function(function);
        lowering.core.functions.push(lowered);
    }
    for index in 0..checked.types().len() {
        let shape = lowering.shape(&checked.types()[index].definition);
        lowering.core.types.push(shape);
    }
    for file in program.roots() {
        for service in file.services() {
            lowering.service(file, service);
        }
    }
    lowering.core
}

/// Where a variable's value is found.
#[derive(Clone, Copy)]
enum Place {
    Capture(u16),
    MatchLet(u16),
    Local(u16),
}

struct Lowering<'p> {
    checked: &'p Checked,
    core: Core,
    places: HashMap<VariableId, Place>,
    /// How many locals the frame being lowered has so far.
    locals: u16,
}

/// What the matches around a match give it.
#[derive(Clone, Default)]
struct Chain<'p> {
    patterns: Vec<&'p Pattern>,
    lets: Vec<Body>,
}

impl<'p> Lowering<'p> {
    /// Gives captures and bindings of matches their places along the chain.
    fn place_members(&mut self, members: &'p [Member], captures: u16, lets: &mut u16) {
        for member in members {
            if let Member::Let(binding) = member {
                self.place(&binding.name, Place::MatchLet(*lets));
                *lets += 1;
            }
        }
        for member in members {
            if let Member::Match(inner) = member {
                let mut captures = captures;
                for segment in &inner.pattern.segments {
                    if let SegmentKind::Capture { name, .. } = &segment.kind {
                        self.place(name, Place::Capture(captures));
                        captures += 1;
                    }
                }
                self.place_members(&inner.members, captures, &mut lets.clone());
            }
        }
    }

    fn place(&mut self, name: &Name, place: Place) {
        if let Some(id) = self.checked.declared_variable(name) {
            self.places.insert(id, place);
        }
    }

    fn new_local(&mut self, name: &Name) -> u16 {
        let local = self.locals;
        self.locals += 1;
        self.place(name, Place::Local(local));
        local
    }

    fn function(&mut self, function: &crate::syntax::Function) -> Function {
        self.locals = 0;
        for parameter in &function.parameters {
            self.new_local(parameter);
        }
        for binding in &function.lets {
            self.new_local(&binding.name);
        }
        let lets = function
            .lets
            .iter()
            .map(|binding| self.expression(&binding.value))
            .collect();
        let node = self.expression(&function.body);
        Function {
            lets,
            body: Body {
                node,
                locals: self.locals,
            },
        }
    }

    /// An expression in a frame of its own.
    fn body(&mut self, expr: &Expr) -> Body {
        self.locals = 0;
        let node = self.expression(expr);
        Body {
            node,
            locals: self.locals,
        }
    }

    fn service(&mut self, file: &File, service: &'p Service) {
        let Some(kind) = service.kind else { return };
        let mut chain = Chain::default();
        self.lets(&service.members, &mut chain);
        let mut children = Children::default();
        for member in &service.members {
            if let Member::Match(inner) = member {
                self.match_node(file.version, inner, chain.clone(), &mut children);
            }
        }
        let all = match kind {
            ServiceKind::Firestore => &mut self.core.firestore,
            ServiceKind::Storage => &mut self.core.storage,
            ServiceKind::Accounts => self.core.accounts.get_or_insert_default(),
        };
        for (literal, matches) in children.by_literal {
            all.by_literal.entry(literal).or_default().extend(matches);
        }
        all.others.extend(children.others);
    }

    fn lets(&mut self, members: &[Member], chain: &mut Chain<'p>) {
        for member in members {
            if let Member::Let(binding) = member {
                let binding: &Let = binding;
                let body = self.body(&binding.value);
                chain.lets.push(body);
            }
        }
    }

    fn match_node(
        &mut self,
        version: LanguageVersion,
        source: &'p Match,
        mut chain: Chain<'p>,
        siblings: &mut Children,
    ) {
        // Its place before those inside of it, so that ids are in the order of the file.
        let id = MatchId(index(self.core.matches.len()));
        chain.patterns.push(&source.pattern);
        let pattern = segments(&source.pattern, version);
        match pattern.first() {
            Some(PatternSegment::Literal(literal)) => {
                siblings
                    .by_literal
                    .entry(Arc::clone(literal))
                    .or_default()
                    .push(id);
            }
            _ => siblings.others.push(id),
        }
        self.lets(&source.members, &mut chain);
        let allows = source.allows().map(|allow| Allow {
            span: allow.span,
            operations: allow
                .operations
                .iter()
                .filter_map(|operation| operation.kind)
                .collect(),
            condition: allow.condition.as_ref().map(|condition| self.body(condition)),
            reason: allow.reason.as_ref().map(|reason| Arc::clone(&reason.text)),
        });
        let allows = allows.collect();
        let document_type = source.type_name.as_ref().and_then(|name| {
            let id = self.checked.named_type(name)?;
            Some((id, name.span))
        });
        self.core.has_document_types |= document_type.is_some();
        let whole: Vec<_> = chain
            .patterns
            .iter()
            .flat_map(|pattern| segments(pattern, version))
            .collect();
        self.core.matches.push(MatchNode {
            pattern: pattern.into(),
            children: Children::default(),
            allows,
            lets: chain.lets.clone().into(),
            document_type,
            covers_groups: version.has_empty_globs() && covers_groups(whole.iter()),
            version,
        });
        let mut children = Children::default();
        for inner in source.matches() {
            self.match_node(version, inner, chain.clone(), &mut children);
        }
        self.core.matches[id.0 as usize].children = children;
    }

    fn shape(&mut self, definition: &TypeExpr) -> Shape {
        match &definition.kind {
            TypeKind::Named { name, arguments } => {
                if let Some(id) = self.checked.named_type(name) {
                    return Shape::Declared(id, Arc::clone(&name.text));
                }
                match (&*name.text, arguments.as_slice()) {
                    ("any", _) => Shape::Kinds(Kinds::ANY),
                    ("list", [element]) => Shape::List(Box::new(self.shape(element))),
                    ("map", [value]) => Shape::Map(Box::new(self.shape(value))),
                    (text, _) => Shape::Kinds(Kinds::from_name(text).unwrap_or(Kinds::NONE)),
                }
            }
            TypeKind::Literal(literal) => Shape::Literal(literal.clone()),
            TypeKind::Map { fields, is_open } => Shape::Fields {
                fields: fields
                    .iter()
                    .map(|field| FieldShape {
                        name: Arc::clone(&field.name.text),
                        is_optional: field.is_optional,
                        shape: self.shape(&field.value),
                    })
                    .collect(),
                is_open: *is_open,
            },
            TypeKind::Union(alternatives) => Shape::Union(
                alternatives
                    .iter()
                    .map(|alternative| self.shape(alternative))
                    .collect(),
            ),
            TypeKind::Paren(inner) => self.shape(inner),
            TypeKind::Where { base, condition } => {
                let base = Box::new(self.shape(base));
                // The first local is `this`.
                self.locals = 1;
                let node = self.expression(condition);
                Shape::Where {
                    base,
                    condition: Body {
                        node,
                        locals: self.locals,
                    },
                    span: condition.span,
                }
            }
            TypeKind::Error => Shape::Kinds(Kinds::NONE),
        }
    }

    fn node(&mut self, span: Span, expression: ExprId, kind: NodeKind) -> NodeId {
        let id = NodeId(index(self.core.nodes.len()));
        self.core.nodes.push(Node {
            kind,
            span,
            expression,
        });
        id
    }

    /// Lowers an expression. The tree's height bounds the recursion.
    fn expression(&mut self, expr: &Expr) -> NodeId {
        if let ExprKind::Paren(inner) = &expr.kind {
            return self.expression(inner);
        }
        let kind = self.kind(expr);
        self.node(expr.span, expr.id, kind)
    }

    fn expressions(&mut self, exprs: &[Expr]) -> Box<[NodeId]> {
        exprs.iter().map(|expr| self.expression(expr)).collect()
    }

    fn kind(&mut self, expr: &Expr) -> NodeKind {
        match &expr.kind {
            ExprKind::Null => NodeKind::Null,
            ExprKind::Bool(value) => NodeKind::Bool(*value),
            ExprKind::Int(value) => NodeKind::Int(*value),
            ExprKind::Float(value) => NodeKind::Float(*value),
            ExprKind::String(value) => NodeKind::String(Arc::clone(value)),
            ExprKind::Bytes(value) => NodeKind::Bytes(Arc::clone(value)),
            ExprKind::Variable(name) => self.variable(expr, name),
            ExprKind::List(items) => NodeKind::List(self.expressions(items)),
            ExprKind::Map(entries) => NodeKind::Map(
                entries
                    .iter()
                    .map(|entry| (self.expression(&entry.key), self.expression(&entry.value)))
                    .collect(),
            ),
            ExprKind::Path(parts) => NodeKind::Path(
                parts
                    .iter()
                    .map(|part| match &part.kind {
                        PathPartKind::Literal(text) => PathPiece::Literal(Arc::clone(text)),
                        PathPartKind::Value(value) => PathPiece::Value(self.expression(value)),
                        PathPartKind::Placeholder { name, is_glob } => PathPiece::Placeholder {
                            name: Arc::clone(&name.text),
                            is_glob: *is_glob,
                        },
                    })
                    .collect(),
            ),
            ExprKind::Member { base, name, is_safe } => NodeKind::Member {
                base: self.expression(base),
                name: Arc::clone(&name.text),
                is_safe: *is_safe,
            },
            ExprKind::Index { base, index } => NodeKind::Index {
                base: self.expression(base),
                index: self.expression(index),
            },
            ExprKind::Slice { base, start, end } => NodeKind::Slice {
                base: self.expression(base),
                start: start.as_ref().map(|start| self.expression(start)),
                end: end.as_ref().map(|end| self.expression(end)),
            },
            ExprKind::Call { function, arguments } => self.call(expr, function, arguments),
            ExprKind::MethodCall {
                base,
                method,
                arguments,
                is_safe,
            } => match self.checked.resolution(expr) {
                Some(Resolution::Function(_) | Resolution::Builtin(_)) => self.call(expr, method, arguments),
                _ if self.is_no_value(base) => {
                    NodeKind::Fail(Fault::FunctionNotFound(Box::from(&*method.text)))
                }
                _ => {
                    let base = self.expression(base);
                    self.method(base, method, arguments, *is_safe)
                }
            },
            ExprKind::Quantified {
                base,
                quantifier,
                variable,
                body,
                ..
            } => {
                let base = self.expression(base);
                let local = self.new_local(variable);
                NodeKind::Quantified {
                    base,
                    quantifier: *quantifier,
                    local,
                    body: self.expression(body),
                }
            }
            ExprKind::Unary {
                operator, operand, ..
            } => {
                let operand = self.expression(operand);
                match operator {
                    UnaryOperator::Not => NodeKind::Not(operand),
                    UnaryOperator::Negate => NodeKind::Negate(operand),
                }
            }
            ExprKind::Binary {
                operator,
                left,
                right,
                ..
            } => match operator {
                BinaryOperator::And => NodeKind::And(self.operands(BinaryOperator::And, expr)),
                BinaryOperator::Or => NodeKind::Or(self.operands(BinaryOperator::Or, expr)),
                BinaryOperator::Coalesce => NodeKind::Coalesce {
                    left: self.expression(left),
                    right: self.expression(right),
                },
                strict => NodeKind::Binary {
                    operator: *strict,
                    left: self.expression(left),
                    right: self.expression(right),
                },
            },
            ExprKind::Is { value, type_name, .. } => match self.checked.resolution(expr) {
                Some(Resolution::Kinds(kinds)) => NodeKind::Is {
                    value: self.expression(value),
                    wanted: Wanted::Kinds(kinds),
                },
                Some(Resolution::Type(id)) => NodeKind::Is {
                    value: self.expression(value),
                    wanted: Wanted::Type(id),
                },
                _ => NodeKind::Fail(Fault::TypeNotFound(Box::from(&*type_name.text))),
            },
            ExprKind::Ternary {
                condition,
                then,
                otherwise,
            } => NodeKind::Ternary {
                condition: self.expression(condition),
                then: self.expression(then),
                otherwise: self.expression(otherwise),
            },
            ExprKind::Paren(inner) => self.kind(inner),
            ExprKind::Error => NodeKind::Fail(Fault::Syntax),
        }
    }

    /// The operands of a chain of one operator, in order.
    fn operands(&mut self, wanted: BinaryOperator, expr: &Expr) -> Box<[NodeId]> {
        let mut operands = Vec::new();
        let mut first = expr;
        while let ExprKind::Binary {
            operator,
            left,
            right,
            ..
        } = &first.kind
            && *operator == wanted
        {
            operands.push(&**right);
            first = left;
        }
        operands.push(first);
        operands
            .into_iter()
            .rev()
            .map(|operand| self.expression(operand))
            .collect()
    }

    fn variable(&mut self, expr: &Expr, name: &Name) -> NodeKind {
        match self.checked.resolution(expr) {
            Some(Resolution::Request) => NodeKind::Request,
            Some(Resolution::Resource) => NodeKind::Resource,
            Some(Resolution::This) => NodeKind::Local(0),
            Some(Resolution::Variable(id)) => match self.places.get(&id) {
                Some(Place::Capture(place)) => NodeKind::Capture(*place),
                Some(Place::MatchLet(place)) => NodeKind::MatchLet(*place),
                Some(Place::Local(place)) => NodeKind::Local(*place),
                None => unknown(name),
            },
            _ => unknown(name),
        }
    }

    /// Whether an expression stands for a namespace or an import.
    fn is_no_value(&self, expr: &Expr) -> bool {
        matches!(
            self.checked.resolution(expr),
            Some(Resolution::Namespace(_) | Resolution::Import(_))
        )
    }

    fn call(&mut self, expr: &Expr, name: &Name, arguments: &[Expr]) -> NodeKind {
        let not_found = || NodeKind::Fail(Fault::FunctionNotFound(Box::from(&*name.text)));
        match self.checked.resolution(expr) {
            Some(Resolution::Function(function)) => {
                if self.checked.function(function).parameters.len() != arguments.len() {
                    return not_found();
                }
                NodeKind::Call {
                    function,
                    arguments: self.expressions(arguments),
                }
            }
            Some(Resolution::Builtin(id)) => match find_builtin(id) {
                Some(builtin) => NodeKind::Builtin {
                    builtin,
                    arguments: self.expressions(arguments),
                },
                None => not_found(),
            },
            Some(Resolution::ThisMethod) => {
                let this = self.node(expr.span, expr.id, NodeKind::Local(0));
                self.method(this, name, arguments, false)
            }
            _ => not_found(),
        }
    }

    fn method(&mut self, base: NodeId, name: &Name, arguments: &[Expr], is_safe: bool) -> NodeKind {
        let methods = Methods::named(&name.text);
        let pattern = match (methods.pattern_use(), arguments.first()) {
            (Some(usage), Some(first)) => match &first.without_parens().kind {
                ExprKind::String(text) => Some(compile(text, usage)),
                _ => None,
            },
            _ => None,
        };
        NodeKind::Method(Box::new(MethodCall {
            base,
            name: Arc::clone(&name.text),
            methods,
            arguments: self.expressions(arguments),
            is_safe,
            pattern,
        }))
    }
}

fn unknown(name: &Name) -> NodeKind {
    NodeKind::Fail(Fault::VariableNotFound(Box::from(&*name.text)))
}

fn find_builtin(id: BuiltinId) -> Option<&'static crate::language::Builtin> {
    all_builtins().find(|builtin| builtin.id == id)
}

/// The segments of a pattern as its file's version reads them.
fn segments(pattern: &Pattern, version: LanguageVersion) -> Vec<PatternSegment> {
    let segments_min = usize::from(!version.has_empty_globs());
    pattern
        .segments
        .iter()
        .map(|segment| match &segment.kind {
            SegmentKind::Literal(text) => PatternSegment::Literal(Arc::clone(text)),
            SegmentKind::Capture { is_glob: false, .. } => PatternSegment::Capture,
            SegmentKind::Capture { is_glob: true, .. } => PatternSegment::Glob { segments_min },
            SegmentKind::Error => PatternSegment::Nothing,
        })
        .collect()
}

/// A count of parts of a source, which its bounded length bounds.
fn index(count: usize) -> u32 {
    u32::try_from(count).expect("a source is at most SOURCE_BYTES_MAX bytes")
}
