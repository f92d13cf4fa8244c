//! For tests only: real servers on fresh folders, and tables of endpoint scenarios.
