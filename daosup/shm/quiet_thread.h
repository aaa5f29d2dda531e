/* Threads beside Python's. */
#ifndef DAOSUP_QUIET_THREAD_H
#define DAOSUP_QUIET_THREAD_H

#include <pthread.h>

/* Signals are for the threads that expect them, but for those that are a fault of this one. 0 or an errno. */
int quiet_thread_start(pthread_t *thread, void *(*run)(void *argument), void *argument);

#endif
