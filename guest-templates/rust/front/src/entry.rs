//! The function that is called: found by its name, and described from its signature.

use serde_json::{Value, json};
use syn::{
    Attribute, Expr, ExprLit, FnArg, GenericParam, Item, ItemFn, Lit, Meta, Pat, PatType, PathArguments, Receiver,
    ReturnType, Type, Visibility,
};

use crate::source::Source;
use crate::wire::Reply;

/// A function that can be called.
pub struct Entry<'a> {
    function: &'a ItemFn,
    pub parameters: Vec<Parameter>,
    pub returns_result: bool,
}

/// A parameter of it.
pub struct Parameter {
    pub name: String,
    /// Whether it has a name by which a call can give it.
    is_named: bool,
    is_required: bool,
}

/// Finds a function at the top level that can be called from outside.
pub fn find<'a>(source: &'a Source, name: &str) -> Result<Entry<'a>, Reply> {
    let functions = source.file.items.iter().filter_map(|item| match item {
        Item::Fn(function) => Some(function),
        _ => None,
    });
    let functions: Vec<_> = functions.collect();
    let Some(function) = functions.iter().find(|function| unraw(&function.sig.ident.to_string()) == name) else {
        return Err(Reply::bad_entry(absent(source, &functions, name)));
    };
    let refuse = |reason: &str| Err(Reply::bad_entry(format!("`{name}` cannot be called: {reason}")));
    let signature = &function.sig;
    // What is described here must be what the compiler sees: it alone knows what a condition comes to.
    let of_that_name = || functions.iter().filter(|other| other.sig.ident == signature.ident);
    let is_conditional = |function: &&&ItemFn| {
        let parameters = function.sig.inputs.iter().flat_map(attributes);
        function.attrs.iter().chain(parameters).any(is_condition)
    };
    if of_that_name().any(|function| is_conditional(&function)) {
        return refuse("it or a parameter of it has a `cfg` attribute; write the function that is meant");
    }
    if of_that_name().count() > 1 {
        return refuse("there are several functions of that name");
    }
    if matches!(function.vis, Visibility::Inherited) {
        return refuse(&format!("it is private; write `pub fn {name}`"));
    }
    if signature.asyncness.is_some() {
        return refuse("it is `async`, and there is nothing to wait for in a sandbox; write `pub fn`");
    }
    if signature.unsafety.is_some() {
        return refuse("it is `unsafe`; write a safe function around it");
    }
    if signature.variadic.is_some() {
        return refuse("it takes any number of arguments; take a `Vec`");
    }
    let generic = signature.generics.params.iter().any(|parameter| !matches!(parameter, GenericParam::Lifetime(_)));
    if generic {
        return refuse("it is generic; give its parameters plain types");
    }
    let mut parameters = Vec::new();
    for (index, input) in signature.inputs.iter().enumerate() {
        let FnArg::Typed(input) = input else { return refuse("it is a method") };
        if matches!(&*input.ty, Type::ImplTrait(_)) {
            return refuse("a parameter is `impl Trait`, which is generic; give it a plain type");
        }
        let (name, is_named) = match &*input.pat {
            Pat::Ident(pattern) => (unraw(&pattern.ident.to_string()), true),
            _ => (format!("argument_{}", index + 1), false),
        };
        parameters.push(Parameter { name, is_named, is_required: last_name(&input.ty).as_deref() != Some("Option") });
    }
    let returns_result = match &signature.output {
        ReturnType::Default => false,
        ReturnType::Type(_, ty) => last_name(ty).as_deref() == Some("Result"),
    };
    Ok(Entry { function, parameters, returns_result })
}

fn attributes(input: &FnArg) -> &[Attribute] {
    let (FnArg::Receiver(Receiver { attrs, .. }) | FnArg::Typed(PatType { attrs, .. })) = input;
    attrs
}

fn is_condition(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg") || attribute.path().is_ident("cfg_attr")
}

impl Entry<'_> {
    /// Returns the name as it is written in code.
    pub fn ident(&self) -> String {
        self.function.sig.ident.to_string()
    }

    /// Returns the description that the contract wants.
    pub fn description(&self) -> String {
        let parameters: Vec<Value> = self.parameters.iter().map(Parameter::description).collect();
        json!({"parameters": parameters, "doc": self.documentation()}).to_string()
    }

    /// Returns the first line of the documentation.
    fn documentation(&self) -> String {
        let lines = self.function.attrs.iter().filter_map(|attribute| match &attribute.meta {
            Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
                Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
                _ => None,
            },
            _ => None,
        });
        lines.map(|line| line.trim().to_owned()).find(|line| !line.is_empty()).unwrap_or_default()
    }
}

impl Parameter {
    fn description(&self) -> Value {
        let kind = if self.is_named { "positional" } else { "positional_only" };
        json!({"name": self.name, "kind": kind, "required": self.is_required})
    }
}

/// Says why there is no such function, and which there are.
fn absent(source: &Source, functions: &[&ItemFn], name: &str) -> String {
    let is_inside = source.file.items.iter().any(|item| match item {
        Item::Impl(block) => {
            block.items.iter().any(|item| matches!(item, syn::ImplItem::Fn(method) if method.sig.ident == name))
        }
        Item::Mod(module) => module
            .content
            .iter()
            .flat_map(|(_, items)| items)
            .any(|item| matches!(item, Item::Fn(function) if function.sig.ident == name)),
        _ => false,
    });
    if is_inside {
        return format!("`{name}` stands inside of something else: a function to be called stands at the top level");
    }
    let public = functions.iter().filter(|function| !matches!(function.vis, Visibility::Inherited));
    let names: Vec<_> = public.take(20).map(|function| format!("`{}`", function.sig.ident)).collect();
    let shown: String = name.chars().take(80).collect();
    match names.as_slice() {
        [] => format!("there is no `pub fn {shown}`, and no other `pub fn` either"),
        names => format!("there is no `pub fn {shown}`; there are: {}", names.join(", ")),
    }
}

/// Returns the last name of a path, such as `Option` of `std::option::Option<T>`.
fn last_name(ty: &Type) -> Option<String> {
    match ty {
        Type::Path(path) => {
            let last = path.path.segments.last()?;
            matches!(last.arguments, PathArguments::AngleBracketed(_) | PathArguments::None)
                .then(|| last.ident.to_string())
        }
        Type::Paren(inner) => last_name(&inner.elem),
        Type::Group(inner) => last_name(&inner.elem),
        _ => None,
    }
}

fn unraw(name: &str) -> String {
    name.strip_prefix("r#").unwrap_or(name).to_owned()
}
