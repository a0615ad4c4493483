//! A repository's commit, from any git URL.
