//! The C library's allocator, told how this program uses memory.

/// Lets freed buffers stay with the process. A step asks for the same large buffers again and again, and so does a planner; by
/// default glibc gives each one back to the system and has its pages zeroed anew, which took a quarter of the time of a step and a
/// fifth of that of a plan.
///
/// Elsewhere than on Linux with glibc this does nothing.
pub fn keep_big_buffers() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[allow(unsafe_code, reason = "mallopt has no safe wrapper")]
    // SAFETY: mallopt only sets parameters of the allocator; both values are allowed ones.
    unsafe {
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, -1);
    }
}
