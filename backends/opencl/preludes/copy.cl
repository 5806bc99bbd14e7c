/* Copies of 16 bytes from global to local memory. Where a unit's prelude has its own (FOV_ASYNC), they run beside what
 * follows, and are done after fov_cp_wait and the barrier behind it. */
#ifndef FOV_ASYNC
inline void fov_cp16(__local ushort *to, __global const ushort *from) {
    *(__local uint4 *)to = *(__global const uint4 *)from;
}
inline void fov_cp_wait(void) {}
#endif
