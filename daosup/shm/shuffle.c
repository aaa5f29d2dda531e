#include "shuffle.h"

#include <stdint.h>
#include <string.h>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3") /* half again as quick: loops over parts become vectors */
#endif

/* Eight bytes as a matrix of 8 x 8 bits, mirrored at its diagonal: byte i then has bit i of each. */
static uint64_t transposed(uint64_t x)
{
    uint64_t t = (x ^ (x >> 7)) & 0x00AA00AA00AA00AAULL;
    x ^= t ^ (t << 7);
    t = (x ^ (x >> 14)) & 0x0000CCCC0000CCCCULL;
    x ^= t ^ (t << 14);
    t = (x ^ (x >> 28)) & 0x00000000F0F0F0F0ULL;
    return x ^ t ^ (t << 28);
}

/* Of a block of so many elements, a multiple of 8: each of its bytes together, and back. Element sizes that are constants
 * make the difference. */
#define GATHER(size)                                                             \
    for (size_t byte = 0; byte < (size); byte++)                                 \
        for (size_t i = 0; i < count; i++)                                       \
            into[byte * count + i] = from[i * (size) + byte];                    \
    break
#define SCATTER(size)                                                            \
    for (size_t i = 0; i < count; i++)                                           \
        for (size_t byte = 0; byte < (size); byte++)                             \
            into[i * (size) + byte] = from[byte * count + i];                    \
    break

static void gather(const unsigned char *restrict from, unsigned char *restrict into, size_t count, size_t size)
{
    switch (size) {
    case 1:
        memcpy(into, from, count);
        break;
    case 2:
        GATHER(2);
    case 4:
        GATHER(4);
    case 8:
        GATHER(8);
    default:
        GATHER(size);
    }
}

static void scatter(const unsigned char *restrict from, unsigned char *restrict into, size_t count, size_t size)
{
    switch (size) {
    case 1:
        memcpy(into, from, count);
        break;
    case 2:
        SCATTER(2);
    case 4:
        SCATTER(4);
    case 8:
        SCATTER(8);
    default:
        SCATTER(size);
    }
}

/* Two words with every other part of so many bits changed over. */
static void swap_parts(uint64_t *one, uint64_t *other, int bits, uint64_t mask)
{
    uint64_t t = ((*one >> bits) ^ *other) & mask;
    *other ^= t;
    *one ^= t << bits;
}

/* Eight words as a matrix of 8 x 8 bytes, mirrored at its diagonal: word i then has byte i of each. */
static void transpose_bytes(uint64_t words[8])
{
    for (int i = 0; i < 4; i++)
        swap_parts(words + i, words + i + 4, 32, 0x00000000FFFFFFFFULL);
    for (int i = 0; i < 6; i += i == 1 ? 3 : 1)
        swap_parts(words + i, words + i + 2, 16, 0x0000FFFF0000FFFFULL);
    for (int i = 0; i < 8; i += 2)
        swap_parts(words + i, words + i + 1, 8, 0x00FF00FF00FF00FFULL);
}

/* One byte of each element of a block, 8 elements a group: their bits by themselves. Eight groups at a time, as far as
 * there are so many. */
static void part_bits(const unsigned char *plane, unsigned char *into, size_t groups)
{
    uint64_t words[8];
    size_t i = 0;
    for (; i + 8 <= groups; i += 8) {
        memcpy(words, plane + 8 * i, sizeof words);
        for (int j = 0; j < 8; j++)
            words[j] = transposed(words[j]);
        transpose_bytes(words);
        for (size_t bit = 0; bit < 8; bit++)
            memcpy(into + bit * groups + i, words + bit, sizeof *words);
    }
    for (; i < groups; i++) {
        memcpy(words, plane + 8 * i, sizeof *words);
        *words = transposed(*words);
        for (size_t bit = 0; bit < 8; bit++)
            into[bit * groups + i] = (unsigned char)(*words >> (8 * bit));
    }
}

static void join_bits(const unsigned char *from, unsigned char *plane, size_t groups)
{
    uint64_t words[8];
    size_t i = 0;
    for (; i + 8 <= groups; i += 8) {
        for (size_t bit = 0; bit < 8; bit++)
            memcpy(words + bit, from + bit * groups + i, sizeof *words);
        transpose_bytes(words);
        for (int j = 0; j < 8; j++)
            words[j] = transposed(words[j]);
        memcpy(plane + 8 * i, words, sizeof words);
    }
    for (; i < groups; i++) {
        *words = 0;
        for (size_t bit = 0; bit < 8; bit++)
            *words |= (uint64_t)from[bit * groups + i] << (8 * bit);
        *words = transposed(*words);
        memcpy(plane + 8 * i, words, sizeof *words);
    }
}

static void shuffle_block(const unsigned char *from, unsigned char *into, size_t count, size_t size)
{
    unsigned char planes[SHUFFLE_ELEMENTS * SHUFFLE_ELEMENT_MOST];
    gather(from, planes, count, size);
    for (size_t byte = 0; byte < size; byte++)
        part_bits(planes + byte * count, into + byte * count, count / 8);
}

static void unshuffle_block(const unsigned char *from, unsigned char *into, size_t count, size_t size)
{
    unsigned char planes[SHUFFLE_ELEMENTS * SHUFFLE_ELEMENT_MOST];
    for (size_t byte = 0; byte < size; byte++)
        join_bits(from + byte * count, planes + byte * count, count / 8);
    scatter(planes, into, count, size);
}

typedef void each_block(const unsigned char *from, unsigned char *into, size_t count, size_t size);

static void over_blocks(each_block *turn, const unsigned char *from, unsigned char *into, size_t bytes, size_t size)
{
    size_t elements = bytes / size;
    for (size_t at = 0, count; at < elements; at += count) {
        count = elements - at < SHUFFLE_ELEMENTS ? elements - at : SHUFFLE_ELEMENTS;
        size_t whole = count / 8 * 8;
        turn(from + at * size, into + at * size, whole, size);
        memcpy(into + (at + whole) * size, from + (at + whole) * size, (count - whole) * size);
    }
    memcpy(into + elements * size, from + elements * size, bytes - elements * size);
}

void shuffle(const unsigned char *from, unsigned char *into, size_t bytes, size_t element_bytes)
{
    over_blocks(shuffle_block, from, into, bytes, element_bytes);
}

void unshuffle(const unsigned char *from, unsigned char *into, size_t bytes, size_t element_bytes)
{
    over_blocks(unshuffle_block, from, into, bytes, element_bytes);
}
