# A guest in 512 bytes that writes in order across N disks: write s+1, on another disk, begins only after write s, has
# completed and was reported. Any set of images taken at one instant therefore holds, for some S, every write up to S
# and none after it (ordered-cut.ts checks that). It must not need a kernel, nor a disk of its own.
#
# It is an option ROM that the BIOS starts like a boot device (a "bootstrap entry vector", Plug and Play BIOS
# Specification 1.0A, appendix A), so nothing but the N disks is in the guest's block graph. It writes through INT 13h
# extensions, so one program drives virtio-blk, SCSI, NVMe, IDE/AHCI and USB disks alike.
#
# Disk i carries "BSOW", i and N in sector 0; the BIOS's own drive numbers do not matter.
#   write s goes to disk d = s mod N, sector FIRST + (floor(s / N) mod RING)
#   a sector is 32 equal records of 4 words: "BSOW", s, d + 65536 * N, ~s      (so that a torn one shows)
#
# Reports on port 0xe9, 4 bytes little endian each:
#   00ssssss.. s                write s has completed (s < 2^30)
#   10ssssss.. s                write s failed; it is tried again after a moment, for ever
#   11000000.. i                no disk carries index i; the guest halts
#
# With `turns` two guests write in turn, over a serial line between them: write s of the one begins only after write s - 1 of
# the other has completed, so that images of both, taken at one instant, cannot be further apart than one write.
#
# Assembled by scripts/assemble-guest.ts into ordered-writer.generated.ts, which a test compares with this file.

        .code16
        .text
        .globl  _start

        .set    MAGIC, 0x574f5342       # "BSOW"
        .set    FIRST, 2048             # same as FIRST_SECTOR, RING_SECTORS in ordered-writer.ts
        .set    RING, 8192
        .set    FIRST_DRIVE, 0x80
        .set    DRIVES, 0x20            # BIOS drive numbers that are looked at
        .set    TICKS, 0x46c            # where the BIOS counts timer interrupts

        # Memory, in segment 0 (the ROM itself is read-only once the BIOS has started).
        .set    STACK, 0x7a00           # grows down from here
        .set    PACKET, 0x7a00          # disk address packet of INT 13h AH=42h/43h, 16 bytes
        .set    REPORT, 0x7a10          # the 4 bytes on their way to port 0xe9
        .set    SEQUENCE, 0x7a14
        .set    DRIVE_OF, 0x7a20        # BIOS drive number of disk i; 0: not found
        .set    BUFFER, 0x7c00          # one sector

_start: .byte   0x55, 0xaa              # option ROM
        .byte   1                       # of 1 x 512 bytes
        lret                            # offset 3: nothing to initialise
        .org    0x18
        .word   0                       # no PCI data structure
        .word   pnp                     # offset 0x1a: the expansion header

        # What the host patches (ordered-writer.ts knows these offsets), followed by the checksum at the very end.
        .org    0x20
disks:  .long   0                       # N; 0: halt, an idle guest
first:  .long   1                       # first sequence number
pause:  .word   0                       # ticks between writes; 0: none
retry:  .word   1                       # ticks until a write that has failed is tried again
turns:  .word   0                       # 1: after each write it gives its word on COM1 and waits for one; 2: it waits first
tick:   .word   0                       # from one timer interrupt to the next, in periods of the 8254 (1193182 Hz); 0: 65536

        .org    0x30
pnp:    .ascii  "$PnP"
        .byte   1                       # revision
        .byte   2                       # length, in 16 bytes
        .word   0                       # no further header
        .byte   0, 0                    # reserved, checksum (unused by SeaBIOS)
        .long   0                       # device identifier
        .word   maker
        .word   product
        .byte   0, 0, 0                 # device type
        .byte   0                       # device indicators
        .word   0                       # no boot connection vector
        .word   0                       # no disconnect vector
        .word   boot                    # bootstrap entry vector
        .word   0
        .word   0
maker:  .asciz  "blocksaga"
product:.asciz  "writer"

boot:   cld
        xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movw    $STACK, %sp
        sti
        cmpl    $0, %cs:disks
        je      halt

        # Which BIOS drive is disk i?
        movw    $DRIVE_OF, %di
        movw    $DRIVES, %cx
        xorb    %al, %al
        rep stosb
        movb    $FIRST_DRIVE, %dl
look:   xorl    %eax, %eax              # sector 0
        call    packet
        movb    $0x42, %ah              # extended read
        int     $0x13
        jc      1f
        cmpl    $MAGIC, BUFFER
        jne     1f
        movl    %cs:disks, %eax
        cmpl    %eax, BUFFER + 8
        jne     1f
        movl    BUFFER + 4, %ebx        # i
        cmpl    %eax, %ebx
        jae     1f
        movb    %dl, DRIVE_OF(%bx)
1:      incb    %dl
        cmpb    $FIRST_DRIVE + DRIVES, %dl
        jb      look

        xorl    %ebx, %ebx              # is any missing?
2:      cmpb    $0, DRIVE_OF(%bx)
        je      missing
        incw    %bx
        cmpw    %cs:disks, %bx
        jb      2b

        movb    $0x34, %al              # timer 0, both bytes, rate generator
        outb    %al, $0x43
        movw    %cs:tick, %ax
        outb    %al, $0x40
        movb    %ah, %al
        outb    %al, $0x40

        movl    %cs:first, %eax
        movl    %eax, SEQUENCE
        cmpw    $2, %cs:turns
        jne     write
        call    hear

write:  movl    SEQUENCE, %eax
        xorl    %edx, %edx
        divl    %cs:disks               # eax = floor(s / N), edx = d
        andl    $RING - 1, %eax
        addl    $FIRST, %eax
        call    packet

        movl    SEQUENCE, %esi
        movl    %cs:disks, %ebp
        shll    $16, %ebp
        orl     %edx, %ebp
        movw    $BUFFER, %di
        movw    $32, %cx
3:      movl    $MAGIC, %eax
        stosl
        movl    %esi, %eax
        stosl
        movl    %ebp, %eax
        stosl
        movl    %esi, %eax
        notl    %eax
        stosl
        loop    3b

        movw    %dx, %bx
        movb    DRIVE_OF(%bx), %dl
        movw    $PACKET, %si
        movw    $0x4300, %ax            # extended write, without the BIOS verifying it
        int     $0x13
        jc      failed

        movl    SEQUENCE, %eax          # completed: now it may be known
        call    report
        incl    SEQUENCE
        cmpw    $0, %cs:turns
        je      4f
        call    say
        call    hear
4:
        movw    %cs:pause, %ax
        testw   %ax, %ax
        jz      write
        call    wait
        jmp     write

failed: movl    SEQUENCE, %eax
        orl     $0x80000000, %eax
        call    report
        movw    %cs:retry, %ax
        call    wait
        jmp     write

missing:movl    %ebx, %eax
        orl     $0xc0000000, %eax
        call    report
halt:   hlt
        jmp     halt

# Prepares a transfer of one sector between BUFFER and sector eax; si = the packet. Keeps all but si.
packet: movw    $PACKET, %si
        movw    $16, (%si)
        movw    $1, 2(%si)
        movl    $BUFFER, 4(%si)         # segment 0
        movl    %eax, 8(%si)
        movl    $0, 12(%si)
        ret

# Reports eax.
report: movl    %eax, REPORT
        movw    $REPORT, %si
        movw    $4, %cx
        movw    $0xe9, %dx
        rep outsb                       # one exit to the hypervisor instead of four
        ret

# Gives the word to whom COM1 leads to; what was written before has completed.
say:    movw    $0x3fd, %dx             # line status
5:      inb     %dx, %al
        testb   $0x20, %al              # may send
        jz      5b
        movb    $0xf8, %dl
        outb    %al, %dx
        ret

# Waits for the word, and looks for it once in each tick.
hear:   movw    $0x3fd, %dx
6:      inb     %dx, %al
        testb   $1, %al                 # has come
        jnz     8f
        hlt
        jmp     6b
8:      movb    $0xf8, %dl
        inb     %dx, %al
        ret

# Waits ax ticks with the processor halted. (INT 15h AH=86h would keep QEMU busy with 1,024 interrupts a second: a guest
# that mostly waits then takes half a processor.)
wait:   movw    TICKS, %dx
7:      hlt
        cmpw    TICKS, %dx
        je      7b
        decw    %ax
        jnz     wait
        ret

        .org    512                     # the last byte is the checksum: the host makes all bytes add up to 0
