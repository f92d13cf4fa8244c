//! Who a caller of an Andiron server is: service keys.
