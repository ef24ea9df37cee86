//! The command line from outside: the binary, its words and its exit codes.
