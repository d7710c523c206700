# As much of a BIOS as the guest in ordered-writer.s needs, for disks on virtio-blk and virtio-scsi: INT 13h reads and writes sectors, and
# the timer's interrupts are counted. It starts that guest as SeaBIOS does, from the same bytes, in a hundredth of SeaBIOS's time, and a write takes
# a fiftieth (SeaBIOS enters 32-bit mode for each). It must not do more: who needs power management, hot-plug or another bus takes SeaBIOS.
#
# It is the end of an image of 64 KiB that lies at 0xf0000 (and below 4 GiB, where the processor starts); the guest's option ROM is the
# beginning. It drives each disk through the legacy interface of "Virtual I/O Device (VIRTIO) Version 1.0", with no feature taken, so
# that QEMU flushes after each write. It knows -machine pc: PCI interrupts are routed by its PIIX3, all to IRQ 11.
#
# Assembled by scripts/assemble-guest.ts into small-bios.generated.ts, which a test compares with this file.

        .code16
        .text
        .globl  _start

        .set    PNP_AT, 0x1a            # where an option ROM names its expansion header, and that header its bootstrap entry
        .set    TICKS, 0x46c

        # Memory, in segment 0. Of disk i, in the order of the PCI bus and of SCSI's targets:
        .set    PORT_OF, 0x600          # its, or its controller's, I/O port
        .set    SEGMENT_OF, 0x620       # its queue
        .set    AVAILABLE_OF, 0x640     # where the ring of requests is in that
        .set    USED_OF, 0x660          # and that of what is done
        .set    TARGET_OF, 0x680        # SCSI's target, or NO_TARGET
        .set    DISKS_END, 0x6a0        # twice the number of disks
        .set    NEXT_PORT, 0x6a2        # behind those that are taken
        .set    NEXT_QUEUE, 0x6a4
        .set    WRITING, 0x6a6          # the request: 1, or 0 where it reads
        .set    SECTOR, 0x6a8           # 8 bytes
        .set    DATA, 0x6b0             # where in memory
        .set    HEADER, 0x6c0           # of a request to virtio-blk: 16 bytes
        .set    STATUS, 0x6d0           # 1 byte
        .set    COMMAND, 0x6e0          # of a request to virtio-scsi: 51 bytes, from 19 on the SCSI command
        .set    ANSWER, 0x720           # 108 bytes
        .set    STACK, 0x7a00

        .set    NO_TARGET, 0xff
        .set    TARGETS, 16             # of a controller that are looked at

        # Each queue has up to 256 descriptors in 3 pages.
        .set    QUEUES, 0x1000          # segment of the first
        .set    QUEUE, 0x300            # from one to the next, in paragraphs

        .set    LINT0, 0xfee00350       # register of the local APIC
        .set    CONFIG_ADDRESS, 0xcf8
        .set    CONFIG_DATA, 0xcfc
        .set    VIRTIO_BLK, 0x10011af4  # device and vendor
        .set    VIRTIO_SCSI, 0x10041af4
        .set    PORTS, 0xc000           # of the first device
        .set    PORTS_END, 0xd000       # 256 for each of 16

        # Registers of a disk.
        .set    GUEST_FEATURES, 4
        .set    QUEUE_PAGE, 8
        .set    QUEUE_SIZE, 12
        .set    QUEUE_SELECT, 14
        .set    QUEUE_NOTIFY, 16
        .set    DEVICE_STATUS, 18
        .set    ISR, 19

_start: cli
        cld
        xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movw    $STACK, %sp

        movw    $timer, 0x08 * 4
        movw    %cs, 0x08 * 4 + 2
        movw    $other, 0x0f * 4
        movw    %cs, 0x0f * 4 + 2
        movw    $int13, 0x13 * 4
        movw    %cs, 0x13 * 4 + 2
        movw    $done, 0x73 * 4
        movw    %cs, 0x73 * 4 + 2
        movw    $other, 0x77 * 4
        movw    %cs, 0x77 * 4 + 2

        movb    $0x11, %al              # both 8259: four words follow
        outb    %al, $0x20
        outb    %al, $0xa0
        movb    $0x08, %al              # vectors
        outb    %al, $0x21
        movb    $0x70, %al
        outb    %al, $0xa1
        movb    $4, %al                 # the second is at line 2 of the first
        outb    %al, $0x21
        movb    $2, %al
        outb    %al, $0xa1
        movb    $1, %al                 # 8086
        outb    %al, $0x21
        outb    %al, $0xa1
        movb    $0xfa, %al              # all masked but 0, the timer, 2
        outb    %al, $0x21
        movb    $0xf7, %al              # and 11, the disks
        outb    %al, $0xa1
        movw    $0x4d1, %dx             # 11 is triggered by its level
        movb    $0x08, %al
        outb    %al, %dx

        lgdtl   %cs:table               # the processor's own controller lies beyond real mode: fs reaches it, once loaded in protected mode
        movl    %cr0, %eax
        orb     $1, %al
        movl    %eax, %cr0
        movw    $8, %bx
        movw    %bx, %fs
        andb    $0xfe, %al
        movl    %eax, %cr0
        movl    $LINT0, %ebx
        movl    $0x700, %fs:(%ebx)      # it lets through what the 8259 says (ExtINT)

        movl    $0x80000860, %ebx       # PIIX3, 00:01.0: PIRQRC[A:D]
        movl    $0x0b0b0b0b, %ecx
        call    configure

        movl    $0x80000000, %ebx       # 00:00.0, then each device of the bus
        movw    $PORTS, NEXT_PORT
        movw    $QUEUES, NEXT_QUEUE
        xorw    %si, %si                # 2 i
scan:   movl    %ebx, %eax
        movw    $CONFIG_ADDRESS, %dx
        outl    %eax, %dx
        movw    $CONFIG_DATA, %dx
        inl     %dx, %eax
        movw    $0, %bp                 # its queue
        cmpl    $VIRTIO_BLK, %eax
        je      1f
        movw    $2, %bp
        cmpl    $VIRTIO_SCSI, %eax
        jne     3f
1:      movb    $0x10, %bl              # base address register 0
        movzwl  NEXT_PORT, %ecx
        call    configure
        movb    $0x04, %bl              # command: ports, and access to memory
        movl    $0x0005, %ecx
        call    configure
        movb    $0, %bl
        call    set_up
        testw   %bp, %bp
        jnz     2f
        movw    $NO_TARGET, TARGET_OF(%si)
        addw    $2, %si
        jmp     3f
2:      call    find_targets
3:      cmpw    $PORTS_END, NEXT_PORT
        je      4f
        cmpw    $32, %si
        je      4f
        addl    $0x800, %ebx
        cmpl    $0x80010000, %ebx
        jb      scan
4:      movw    %si, DISKS_END

        movw    %cs:PNP_AT, %bx
        pushw   %cs
        pushw   %cs:PNP_AT(%bx)
        lret

# Writes ecx to register ebx of the PCI configuration.
configure:
        movl    %ebx, %eax
        movw    $CONFIG_ADDRESS, %dx
        outl    %eax, %dx
        movl    %ecx, %eax
        movw    $CONFIG_DATA, %dx
        outl    %eax, %dx
        ret

# Sets up queue bp of the device at NEXT_PORT, which disk si / 2 is on, and takes that port. The queue has one request at a time, of
# three descriptors, which is always the first. Keeps all but eax, ecx, edx and es.
set_up: pushl   %ebx
        pushw   %di
        movw    NEXT_PORT, %bx
        addw    $0x100, NEXT_PORT
        movw    %bx, PORT_OF(%si)
        leaw    DEVICE_STATUS(%bx), %dx
        xorb    %al, %al                # reset
        outb    %al, %dx
        movb    $3, %al                 # seen, and there is a driver
        outb    %al, %dx
        leaw    GUEST_FEATURES(%bx), %dx
        xorl    %eax, %eax
        outl    %eax, %dx
        leaw    QUEUE_SELECT(%bx), %dx
        movw    %bp, %ax
        outw    %ax, %dx
        leaw    QUEUE_SIZE(%bx), %dx
        inw     %dx, %ax
        shlw    $4, %ax                 # behind the descriptors
        movw    %ax, AVAILABLE_OF(%si)
        movw    %ax, %di
        shrw    $3, %di
        leaw    6 + 4095(%di), %di
        addw    %ax, %di
        andw    $0xf000, %di            # on the next page
        movw    %di, USED_OF(%si)

        movw    NEXT_QUEUE, %ax
        addw    $QUEUE, NEXT_QUEUE
        movw    %ax, SEGMENT_OF(%si)
        movw    %ax, %es
        xorw    %di, %di
        xorl    %eax, %eax
        movw    $QUEUE * 16 / 4, %cx
        rep stosl
        movw    %es, %ax
        movzbl  %ah, %eax               # its page
        leaw    QUEUE_PAGE(%bx), %dx
        outl    %eax, %dx
        leaw    DEVICE_STATUS(%bx), %dx
        movb    $7, %al                 # the driver is ready
        outb    %al, %dx
        popw    %di
        popl    %ebx
        ret

# Makes a disk of each target of the controller that disk si / 2 would be on, from there on; si is behind the last one. A disk's first
# answer is that it is new ("unit attention").
find_targets:
        pushl   %ebx
        xorw    %cx, %cx
5:      movw    %cx, TARGET_OF(%si)
        movb    $0, WRITING
        movl    $0, SECTOR
        movl    $0x7c00, DATA
        movw    %si, %bx
        pushw   %cx
        call    request
        popw    %cx
        cmpb    $0, ANSWER + 11         # response: there is such a target
        jne     6f
        leaw    2(%si), %di
        xchgw   %di, %si
        cmpw    $32, %si                # the tables have no more room
        je      7f
        .irp    table, PORT_OF, SEGMENT_OF, AVAILABLE_OF, USED_OF
        movw    \table(%di), %ax
        movw    %ax, \table(%si)
        .endr
6:      incw    %cx
        cmpw    $TARGETS, %cx
        jb      5b
7:      popl    %ebx
        ret

# INT 13h, functions 42h and 43h (Enhanced Disk Drive Specification 3.0): drive dl, the packet at ds:si with one sector. Carry: it failed.
int13:  pushal
        pushw   %es
        movw    %sp, %bp
        movzbw  %dl, %bx
        subw    $0x80, %bx
        jb      bad
        shlw    $1, %bx
        cmpw    DISKS_END, %bx
        jae     bad
        subb    $0x42, %ah              # 0: read, 1: write
        cmpb    $1, %ah
        ja      bad
        movb    %ah, WRITING
        movl    8(%si), %eax
        movl    %eax, SECTOR
        movl    12(%si), %eax
        movl    %eax, SECTOR + 4
        movzwl  6(%si), %eax
        shll    $4, %eax
        movzwl  4(%si), %edx
        addl    %edx, %eax
        movl    %eax, DATA
        call    request
        jnz     bad
        andb    $0xfe, 34 + 4(%bp)      # the caller's flags, above es, eight registers, ip and cs
        jmp     5f
bad:    orb     $0x01, 34 + 4(%bp)
5:      popw    %es
        popal
        iret

# Writes a descriptor: its place in the queue, address, length and flags, of which the upper half is the descriptor that follows.
        .macro  descriptor at, address, length, flags
        movl    \address, %eax
        movl    %eax, %es:\at
        movl    $\length, %es:\at + 8
        movl    $\flags, %es:\at + 12
        .endm

        .set    TO_1, 0x00010001
        .set    TO_2, 0x00020001
        .set    FROM_DEVICE, 2

# Asks disk bx / 2 for what WRITING, SECTOR and DATA say, and waits. Not zero: it failed. Keeps bx, bp and si.
request:
        movw    SEGMENT_OF(%bx), %es
        cmpw    $NO_TARGET, TARGET_OF(%bx)
        jne     scsi

        movzbl  WRITING, %eax
        movl    %eax, HEADER
        movl    SECTOR, %eax
        movl    %eax, HEADER + 8
        movl    SECTOR + 4, %eax
        movl    %eax, HEADER + 12
        movb    $0xff, STATUS
        descriptor 0, $HEADER, 16, TO_1
        descriptor 16, DATA, 512, TO_2
        descriptor 32, $STATUS, 1, FROM_DEVICE
        cmpb    $1, WRITING
        je      1f
        movb    $1 + FROM_DEVICE, %es:16 + 12
1:      xorw    %ax, %ax
        call    send
        cmpb    $0, STATUS
        ret

scsi:   movb    $1, COMMAND             # of a target
        movb    TARGET_OF(%bx), %al
        movb    %al, COMMAND + 1
        movb    $0x40, COMMAND + 2      # LUN 0
        movb    WRITING, %al            # READ (10), WRITE (10)
        shlb    $1, %al
        addb    $0x28, %al
        movb    %al, COMMAND + 19
        movl    SECTOR, %eax
        bswapl  %eax
        movl    %eax, COMMAND + 19 + 2
        movb    $1, COMMAND + 19 + 8
        movw    $0xffff, ANSWER + 10    # status and response
        descriptor 0, $COMMAND, 51, TO_1
        cmpb    $1, WRITING
        je      2f
        descriptor 16, $ANSWER, 108, TO_2 + FROM_DEVICE
        descriptor 32, DATA, 512, FROM_DEVICE
        jmp     3f
2:      descriptor 16, DATA, 512, TO_2
        descriptor 32, $ANSWER, 108, FROM_DEVICE
3:      movw    $2, %ax
        call    send
        cmpw    $0, ANSWER + 10
        ret

# Tells the device of the request in its queue ax, and waits until it is done.
send:   movw    AVAILABLE_OF(%bx), %di
        incw    %es:2(%di)
        movw    %es:2(%di), %cx
        movw    PORT_OF(%bx), %dx
        addw    $QUEUE_NOTIFY, %dx
        outw    %ax, %dx
        movw    USED_OF(%bx), %di
4:      cli
        cmpw    %cx, %es:2(%di)
        je      5f
        sti
        hlt
        jmp     4b
5:      ret

timer:  pushw   %ax
        pushw   %ds
        xorw    %ax, %ax
        movw    %ax, %ds
        incl    TICKS
        movb    $0x20, %al              # end of interrupt
        outb    %al, $0x20
        popw    %ds
        popw    %ax
        iret

# A device has done something, or several have: reading its ISR ends its interrupt.
done:   pushw   %ax
        pushw   %dx
        pushw   %ds
        xorw    %dx, %dx
        movw    %dx, %ds
        movw    $PORTS + ISR, %dx
6:      inb     %dx, %al
        addw    $0x100, %dx
        cmpw    NEXT_PORT, %dx
        jb      6b
        movb    $0x20, %al
        outb    %al, $0xa0
        outb    %al, $0x20
        popw    %ds
        popw    %dx
        popw    %ax
        iret

# An interrupt that has gone again.
other:  pushw   %ax
        movb    $0x20, %al
        outb    %al, $0x20
        popw    %ax
        iret

        .balign 8
flat:   .quad   0, 0x00cf92000000ffff   # data, from 0 to 4 GiB
table:  .word   15
        .long   0xf0000 + flat

        .org    2032                    # here the processor starts
        ljmp    $0xf000, $_start
        .org    2048
