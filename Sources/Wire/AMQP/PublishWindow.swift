// The messages written and not yet confirmed on one channel, by the broker's numbers. Pure: tests drive it.

/// `Token` names the message for whoever asked for it.
struct PublishWindow<Token> {
    struct Return: Equatable {
        let code: Int
        let text: String
    }

    struct Entry {
        let token: Token
        let bytes: Int
        let writtenAt: ContinuousClock.Instant
        var returned: Return?
        fileprivate var isSettled = false
    }

    /// From the oldest unsettled one on; settled ones are left in until they are the oldest.
    private var entries: [Entry] = []
    /// Entries before this are gone.
    private var head = 0
    /// The broker's number of `entries[head]`.
    private var firstTag: UInt64 = 1
    /// Unsettled.
    private(set) var count = 0
    private(set) var bytes = 0

    var isEmpty: Bool { count == 0 }
    /// When the oldest unsettled message was written.
    var oldest: ContinuousClock.Instant? { count == 0 ? nil : entries[head].writtenAt }
    /// The number that the next message gets.
    var nextTag: UInt64 { firstTag + UInt64(entries.count - head) }

    mutating func append(_ token: Token, bytes size: Int, at time: ContinuousClock.Instant) {
        entries.append(Entry(token: token, bytes: size, writtenAt: time, returned: nil))
        count += 1
        bytes += size
    }

    /// A return precedes its confirm. Unknown numbers are ignored.
    mutating func noteReturn(_ tag: UInt64, code: Int, text: String) {
        guard let index = index(of: tag), !entries[index].isSettled else { return }
        entries[index].returned = Return(code: code, text: text)
    }

    /// A confirm or nack for one message, or for all up to `tag`; 0 with `multiple` is all. Unknown and repeated
    /// numbers are ignored.
    mutating func settle(_ tag: UInt64, multiple: Bool, _ each: (Entry) -> Void) {
        if multiple {
            guard tag == 0 || tag >= firstTag, count > 0 else { return }
            let last = tag == 0 || tag >= nextTag ? entries.count - 1 : head + Int(tag - firstTag)
            for index in head...last { settle(at: index, each) }
        } else if let index = index(of: tag) {
            settle(at: index, each)
        }
        advance()
    }

    /// Gives up all that is unsettled, oldest first. Numbers begin at 1 again, as on a new channel.
    mutating func removeAll() -> [Entry] {
        let left = entries[head...].filter { !$0.isSettled }
        self = PublishWindow()
        return left
    }

    private func index(of tag: UInt64) -> Int? {
        guard tag >= firstTag, tag < nextTag else { return nil }
        return head + Int(tag - firstTag)
    }

    private mutating func settle(at index: Int, _ each: (Entry) -> Void) {
        guard !entries[index].isSettled else { return }
        entries[index].isSettled = true
        count -= 1
        bytes -= entries[index].bytes
        each(entries[index])
    }

    private mutating func advance() {
        while head < entries.count, entries[head].isSettled {
            head += 1
            firstTag += 1
        }
        if head == entries.count {
            entries.removeAll(keepingCapacity: true)
            head = 0
        } else if head >= 4096 {
            entries.removeFirst(head)
            head = 0
        }
    }
}
