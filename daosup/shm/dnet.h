/* Messages of DAO's network protocol as they lie in memory; daosup/core/dnet.py has the same table and judges everything
 * that the data path does not touch.
 *
 * Invariant: the layout is the wire's, little endian as all machines that have segments.
 */
#ifndef DAOSUP_DNET_H
#define DAOSUP_DNET_H

#include <stddef.h>
#include <stdint.h>

#define DNET_MAGIC 0x54454E44u /* "DNET" */
#define DNET_VERSION 1
#define DNET_HEADER_BYTES 64
#define DNET_TRAILER_BYTES 8 /* behind a frame: the counter after it was copied */

/* Who has sent nothing for so long sends a heartbeat; a link that is silent for the other time is broken. */
#define DNET_HEARTBEAT_NS 1000000000LL
#define DNET_SILENCE_NS 4000000000LL

enum dnet_kind {
    DNET_META = 1,
    DNET_FRAME = 2,
    DNET_HEARTBEAT = 3,
    DNET_WRITE = 4,
    DNET_BYE = 5,
    DNET_DESCRIBE = 16, /* from here on: between ours alone */
    DNET_ASK = 17,
    DNET_ANSWER = 18,
    DNET_AGAIN = 19, /* a reader lacks the newest frame */
};

enum dnet_flag {
    DNET_ECHO = 1,              /* a frame that this reader wrote back */
    DNET_HAS_FRAME_ID = 0x100,  /* reserved: frame id (cnt2), send time in ns */
    DNET_PACKED = 0x200,        /* a frame is packed (packing.h); the size of its elements is in the upper half */
};
#define DNET_ELEMENT_SHIFT 16

struct dnet_header {
    uint32_t magic;
    uint16_t version;
    uint16_t kind;
    uint32_t flags;
    uint32_t dropped; /* of a frame: skipped so far for this reader */
    uint64_t cnt0;
    uint64_t sequence;
    int64_t atime_ns; /* write time at the source, UTC */
    uint64_t payload_bytes;
    uint64_t reserved[2];
};

_Static_assert(sizeof(struct dnet_header) == DNET_HEADER_BYTES && offsetof(struct dnet_header, kind) == 6 &&
                   offsetof(struct dnet_header, cnt0) == 16 && offsetof(struct dnet_header, atime_ns) == 32 &&
                   offsetof(struct dnet_header, payload_bytes) == 40 && offsetof(struct dnet_header, reserved) == 48,
               "the header lies in memory as on the wire");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the wire is little endian");

#endif
