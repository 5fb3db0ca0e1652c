//! The state against a naive model of the rules: every short sequence of operations on tiny subnets, and long ones at random.

mod answer;
mod declare;
mod exhaustive;
mod mac;
mod naive;
mod order;
mod pair;
mod random;
mod steps;
