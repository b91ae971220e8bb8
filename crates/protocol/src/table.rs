//! Enums of which each value has a row.

/// Declares a closed enum together with its table.
macro_rules! closed_table {
    (
        $(#[$meta:meta])*
        pub enum $name:ident: $row:ident {
            $(
                $(#[$variant_meta:meta])*
                $variant:ident { $($column:ident: $value:expr),* $(,)? }
            )*
        }
    ) => {
        $(#[$meta])*
        pub enum $name {
            $($(#[$variant_meta])* $variant,)*
        }

        impl $name {
            /// Each of them, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its row.
            #[must_use]
            pub const fn row(self) -> &'static $row {
                match self {
                    $(Self::$variant => &$row { $($column: $value),* },)*
                }
            }

            /// Its word, wherever one is needed.
            #[must_use]
            pub const fn name(self) -> &'static str {
                self.row().name
            }
        }
    };
}

pub(crate) use closed_table;
