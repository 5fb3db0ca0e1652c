//! One node's end: reads grants off the node's own pods and answers CNI from memory.
