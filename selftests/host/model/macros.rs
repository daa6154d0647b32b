// SPDX-License-Identifier: GPL-2.0

//! Stands in for the kernel's macros: what is pinned there is just made here.

use proc_macro::{Delimiter, Group, TokenStream, TokenTree};

/// Tests of one thread are run elsewhere.
#[proc_macro_attribute]
pub fn kunit_tests(_suite: TokenStream, _module: TokenStream) -> TokenStream {
    TokenStream::new()
}

/// The structure without `#[pin]`.
#[proc_macro_attribute]
pub fn pin_data(_arguments: TokenStream, item: TokenStream) -> TokenStream {
    unpinned(item)
}

fn unpinned(tokens: TokenStream) -> TokenStream {
    let mut result: Vec<TokenTree> = Vec::new();
    for token in tokens {
        match &token {
            TokenTree::Group(group)
                if group.delimiter() == Delimiter::Bracket && group.to_string() == "[pin]" =>
            {
                result.pop();
            }
            TokenTree::Group(group) => {
                let inner = Group::new(group.delimiter(), unpinned(group.stream()));
                result.push(TokenTree::Group(inner));
            }
            _ => result.push(token),
        }
    }
    result.into_iter().collect()
}

/// The value, in `Ok`.
#[proc_macro]
pub fn pin_init(tokens: TokenStream) -> TokenStream {
    made(tokens)
}

/// The same; an error in it is the result.
#[proc_macro]
pub fn try_pin_init(tokens: TokenStream) -> TokenStream {
    made(tokens)
}

/// `Name { field <- value, ... }? Error`: everything up to the braces, in which `<-` is `:`.
fn made(tokens: TokenStream) -> TokenStream {
    let mut result: Vec<TokenTree> = Vec::new();
    for token in tokens {
        let is_body =
            matches!(&token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace);
        let token = match token {
            TokenTree::Group(group) if is_body => {
                TokenTree::Group(Group::new(Delimiter::Brace, fields(group.stream())))
            }
            token => token,
        };
        result.push(token);
        if is_body {
            break;
        }
    }
    let value: TokenStream = result.into_iter().collect();
    format!("(|| -> ::kernel::error::Result<_> {{ Ok({value}) }})()")
        .parse()
        .expect("an expression")
}

fn fields(tokens: TokenStream) -> TokenStream {
    let text: String = tokens.to_string();
    text.replace("<-", ":").parse().expect("fields")
}
