/* The processor's own word for a moment of waiting in a loop, which leaves what it has to the other thread of its core. */
#ifndef DAOSUP_PAUSE_H
#define DAOSUP_PAUSE_H

static inline void pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
