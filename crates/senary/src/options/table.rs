//! The macro that makes a layer of options from a table.

/// One row per option: its field, its type, its JSON key, and its environment variables if it has any, the first of
/// which wins. A field that is `None` is not set.
macro_rules! options {
    (
        $(#[$layer_doc:meta])*
        $layer:ident:
        $($(#[$doc:meta])* $field:ident: $type:ty = $key:literal $(, $env:literal)*;)*
    ) => {
        $(#[$layer_doc])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $layer {
            $($(#[$doc])* pub $field: Option<$type>,)*
        }

        impl $layer {
            /// The environment variables of all rows.
            pub const VARIABLES: &'static [&'static str] = &[$($($env,)*)*];

            pub(super) fn take_fields(fields: &mut Fields<'_>, remarks: &mut Remarks) -> Result<Self, Invalid> {
                Ok(Self { $($field: fields.take($key, remarks)?,)* })
            }

            /// The layer of the environment.
            pub fn from_environment(env: &Environment, remarks: &mut Remarks) -> Result<Self, Invalid> {
                Ok(Self {
                    $($field: None$(.or(parse_variable(env, $env, remarks)?))*,)*
                })
            }

            /// Lays another layer over this one: what it sets wins.
            pub(super) fn overlay(&mut self, over: Self) {
                $(self.$field = match (self.$field.take(), over.$field) {
                    (Some(below), Some(above)) => Some(OptionValue::over(above, below)),
                    (below, above) => above.or(below),
                };)*
            }

            /// Every option by its key; null where it is not set.
            pub fn encode_fields(&self) -> Map<String, Value> {
                let mut object = Map::new();
                $(object.insert($key.to_owned(), self.$field.as_ref().map_or(Value::Null, OptionValue::encode));)*
                object
            }
        }
    };
}
