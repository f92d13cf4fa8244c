//! The checker: what names mean, what is known of types, and what is probably a mistake.
//!
//! It runs on a program without syntax errors and always to its end. What it learns is in [`Checked`], beside the tree, so
//! that the evaluator need not look names up again. Production refuses little at this stage, and files that it takes must
//! work here: in versions 1 and 2 a name that is not known is a warning, and an error only once it is evaluated; in
//! `andiron1` it is an error at once.
//!
//! Left out: values. What can be said only with a request at hand is the evaluator's.

mod call;
mod calls;
mod condition;
mod expression;
mod lints;
mod names;
mod operator;
mod pattern;
mod service;
mod types;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Severity, has_errors};
use crate::language::{BuiltinId, Kinds, Namespace};
use crate::limits::Limits;
use crate::program::Program;
use crate::re2::PatternError;
use crate::source::{FileId, Span};
use crate::syntax::{Expr, Function, LanguageVersion, Let, Name, ServiceKind, TypeDeclaration, TypeExpr};

/// A function of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FunctionId(pub u32);

/// A declared type of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeId(pub u32);

/// A variable of a program: a parameter, a binding, a capture, or the element that a quantifier goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VariableId(pub u32);

/// A variable.
#[derive(Clone, Debug)]
pub struct Variable {
    /// Where it is declared.
    pub name: Name,
    /// What it is.
    pub kind: VariableKind,
}

/// What a variable is.
#[derive(Clone, Debug)]
pub enum VariableKind {
    /// A parameter, by its place.
    Parameter(FunctionId, usize),
    /// A binding of a function.
    Let(Arc<Let>),
    /// A binding of a match or a service.
    MatchLet(Arc<Let>),
    /// A capture of a pattern; with true, of any number of segments.
    Capture(bool),
    /// What `all`, `any` or `map` go through.
    Element,
}

/// What a name in an expression means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resolution {
    /// `request`
    Request,
    /// `resource`
    Resource,
    /// `this`, in the condition of a type
    This,
    /// A variable.
    Variable(VariableId),
    /// What stands before the dot of a function that needs no declaration; not a value.
    Namespace(Namespace),
    /// The name that an import was given; not a value.
    Import(FileId),
    /// A call of a function of the program.
    Function(FunctionId),
    /// A call of a function that needs no declaration.
    Builtin(BuiltinId),
    /// A call that is a method of `this`.
    ThisMethod,
    /// `is` and a type of the language: of these is the value to be.
    Kinds(Kinds),
    /// `is` and a declared type.
    Type(TypeId),
}

/// What the checker found out.
#[derive(Clone, Debug)]
pub struct Checked {
    diagnostics: Vec<Diagnostic>,
    functions: Vec<Arc<Function>>,
    types: Vec<Arc<TypeDeclaration>>,
    variables: Vec<Variable>,
    variables_by_name: HashMap<Span, VariableId>,
    functions_by_name: HashMap<Span, FunctionId>,
    types_by_name: HashMap<Span, TypeId>,
    /// The types that `match … is Type` and the types of types name, by where that stands.
    type_uses: HashMap<Span, TypeId>,
    /// By file and expression.
    resolutions: Vec<Vec<Option<Resolution>>>,
    kinds: Vec<Vec<Kinds>>,
}

impl Checked {
    /// In the order of the text, file by file.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// Whether the program must not be used.
    pub fn has_errors(&self) -> bool {
        has_errors(&self.diagnostics)
    }

    /// What the name in an expression means: of [`ExprKind::Variable`](crate::syntax::ExprKind::Variable), `Call`,
    /// `MethodCall` (if it calls a function, not a method) and `Is`. `None` where it means nothing that is known.
    pub fn resolution(&self, expr: &Expr) -> Option<Resolution> {
        *self
            .resolutions
            .get(expr.span.file.index())?
            .get(expr.id.index())?
    }

    /// The types that an expression's value may have; anything else is an error when it is evaluated.
    pub fn kinds(&self, expr: &Expr) -> Kinds {
        let kinds = self.kinds.get(expr.span.file.index());
        kinds
            .and_then(|kinds| kinds.get(expr.id.index()))
            .copied()
            .unwrap_or(Kinds::ANY)
    }

    /// A function of the program.
    pub fn function(&self, id: FunctionId) -> &Arc<Function> {
        &self.functions[id.0 as usize]
    }

    /// All functions of the program, by their ids.
    pub fn functions(&self) -> &[Arc<Function>] {
        &self.functions
    }

    /// A declared type.
    pub fn type_declaration(&self, id: TypeId) -> &Arc<TypeDeclaration> {
        &self.types[id.0 as usize]
    }

    /// All declared types, by their ids.
    pub fn types(&self) -> &[Arc<TypeDeclaration>] {
        &self.types
    }

    /// A variable.
    pub fn variable(&self, id: VariableId) -> &Variable {
        &self.variables[id.0 as usize]
    }

    /// How many variables there are; ids are below it.
    pub fn variable_count(&self) -> usize {
        self.variables.len()
    }

    /// The variable that a name declares.
    pub fn declared_variable(&self, name: &Name) -> Option<VariableId> {
        self.variables_by_name.get(&name.span).copied()
    }

    /// The function that a name declares.
    pub fn declared_function(&self, name: &Name) -> Option<FunctionId> {
        self.functions_by_name.get(&name.span).copied()
    }

    /// The declared type that a name in a type, or after `match … is`, stands for.
    pub fn named_type(&self, name: &Name) -> Option<TypeId> {
        self.type_uses.get(&name.span).copied()
    }
}

/// Checks a program. Its own diagnostics are not repeated in the result.
pub fn check(program: &Program, limits: &Limits) -> Checked {
    let mut checker = Checker::new(program, limits);
    checker.collect();
    checker.check_files();
    checker.check_calls();
    checker.check_unused();
    lints::run(&mut checker);
    checker.finish()
}

/// Whether it is a warning in versions 1 and 2 only because files that production takes must work.
fn is_about_knowledge(code: Code) -> bool {
    matches!(
        code,
        Code::UnknownName
            | Code::UnknownMember
            | Code::WrongArity
            | Code::TypeMismatch
            | Code::LengthProperty
            | Code::HasMethodOnMap
            | Code::ListAddition
    )
}

/// The state of one check.
struct Checker<'p> {
    program: &'p Program,
    limits: &'p Limits,
    diagnostics: Diagnostics,
    checked: Checked,
    /// The scopes around what is being checked, the innermost last.
    scopes: Vec<names::Scope<'p>>,
    /// The file being checked.
    file: FileId,
    version: LanguageVersion,
    /// The service being checked, if it is inside of one.
    service: Option<ServiceKind>,
    /// The type that the nearest match gives its documents.
    document_type: Option<TypeId>,
    /// The types that `this` may have, inside of a type's condition.
    this: Option<expression::Known<'p>>,
    /// What is being checked, for the graph of calls.
    caller: Option<calls::Node>,
    calls: calls::Calls,
    /// What each declared type stands for.
    type_definitions: Vec<&'p TypeExpr>,
    used_functions: Vec<bool>,
    used_types: Vec<bool>,
    used_variables: Vec<bool>,
    /// Every `allow`, with the matches around it.
    allows: Vec<lints::Site<'p>>,
    /// What is wrong with the patterns met so far: compiling one takes longer than checking a function.
    patterns: HashMap<Arc<str>, Option<PatternError>>,
    /// The paths of look-ups that have been complained about.
    reported_lookups: HashSet<Span>,
}

impl<'p> Checker<'p> {
    fn new(program: &'p Program, limits: &'p Limits) -> Self {
        let counts = || program.files().iter().map(|file| file.expressions as usize);
        Self {
            program,
            limits,
            diagnostics: Diagnostics::default(),
            checked: Checked {
                diagnostics: Vec::new(),
                functions: Vec::new(),
                types: Vec::new(),
                variables: Vec::new(),
                variables_by_name: HashMap::new(),
                functions_by_name: HashMap::new(),
                types_by_name: HashMap::new(),
                type_uses: HashMap::new(),
                resolutions: counts().map(|count| vec![None; count]).collect(),
                kinds: counts().map(|count| vec![Kinds::ANY; count]).collect(),
            },
            scopes: Vec::new(),
            file: FileId::default(),
            version: LanguageVersion::default(),
            service: None,
            document_type: None,
            this: None,
            caller: None,
            calls: calls::Calls::default(),
            type_definitions: Vec::new(),
            used_functions: Vec::new(),
            used_types: Vec::new(),
            used_variables: Vec::new(),
            allows: Vec::new(),
            patterns: HashMap::new(),
            reported_lookups: HashSet::new(),
        }
    }

    fn finish(mut self) -> Checked {
        self.checked.diagnostics = self.diagnostics.finish();
        self.checked
    }

    /// Reports something. What is not known is an error in `andiron1`.
    fn report(&mut self, diagnostic: Diagnostic) {
        let file = &self.program.files()[diagnostic.span.file.index()];
        let severity = if file.version.has_extensions() && is_about_knowledge(diagnostic.code) {
            Severity::Error
        } else {
            diagnostic.severity
        };
        self.diagnostics.push(diagnostic.with_severity(severity));
    }

    /// Reports something that may be meant as it is, in every version.
    fn suspect(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    fn exceeds(&mut self, span: Span, what: &str, found: usize, limit: usize) {
        if found > limit {
            let message = format!("{what}: {found}, and the limit is {limit}");
            self.report(Diagnostic::new(Code::Limit, span, message));
        }
    }

    /// Says what is declared and never used.
    fn check_unused(&mut self) {
        let functions = self.checked.functions.clone();
        for (function, used) in functions.iter().zip(self.used_functions.clone()) {
            let file = &self.program.files()[function.span.file.index()];
            // A file without services is there to be imported, by programs other than this one too.
            if !used && file.services().next().is_some() {
                let message = format!("the function `{}` is never called", function.name.text);
                self.report(Diagnostic::new(Code::UnusedFunction, function.name.span, message));
            }
        }
        let variables = self.checked.variables.clone();
        for (variable, used) in variables.iter().zip(self.used_variables.clone()) {
            let what = match &variable.kind {
                VariableKind::Parameter(..) => "parameter",
                VariableKind::Let(_) | VariableKind::MatchLet(_) => "variable",
                // A segment has to be captured to be matched, and an element to be counted.
                VariableKind::Capture(_) | VariableKind::Element => continue,
            };
            if !used && !variable.name.text.starts_with('_') {
                let message = format!("the {what} `{}` is never read", variable.name.text);
                self.report(
                    Diagnostic::new(Code::UnusedVariable, variable.name.span, message)
                        .with_hint("remove it, or let its name start with `_`"),
                );
            }
        }
        let types = self.checked.types.clone();
        for (declaration, used) in types.iter().zip(self.used_types.clone()) {
            let file = &self.program.files()[declaration.span.file.index()];
            if !used && file.services().next().is_some() {
                let message = format!("the type `{}` is never used", declaration.name.text);
                self.report(Diagnostic::new(Code::UnusedType, declaration.name.span, message));
            }
        }
    }
}
