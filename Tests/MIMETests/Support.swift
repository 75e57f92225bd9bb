// What the suites share: bytes from text, a seeded generator, and the clock for "linear, not quadratic".

import Glibc
import MIME

func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

/// Text with LF as it would be on the wire.
func crlf(_ text: String) -> [UInt8] { LineDiscipline.normalizingBareNewlines(text) }

func string(_ bytes: some Collection<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }

func address(_ text: String) throws -> EmailAddress { try EmailAddress(parsing: text) }

/// The code of the error that `body` throws; nil when it does not.
func code<T>(_ body: @autoclosure () throws(MIMEError) -> T) -> MIMEError.Code? {
    do {
        _ = try body()
        return nil
    } catch {
        return error.code
    }
}

/// SplitMix64: the same numbers in every run.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func bytes(_ count: Int, from alphabet: [UInt8]) -> [UInt8] {
        (0..<count).map { _ in alphabet.randomElement(using: &self) ?? 0 }
    }

    mutating func text(_ count: Int) -> String {
        let pool = "abc XYZ 019 ,;:\"\\()<>@.=?_%'*  äöüß é ñ 漢字 かな 😀 ‰ €\t"
        return String(
            String.UnicodeScalarView((0..<count).compactMap { _ in pool.unicodeScalars.randomElement(using: &self) }))
    }
}

/// How many times longer `body` takes for eight times the input, the best of several tries on each side. Linear
/// work comes out near 8, quadratic near 64. Counts the thread's own time, so that a busy machine changes little.
func growth(from size: Int, _ body: (Int) -> Void) -> Double {
    func best(_ size: Int) -> Double {
        (0..<4).map { _ in cpuTime { body(size) } }.min() ?? 0
    }
    let small = best(size)
    return best(size * 8) / max(small, 1)
}

/// Nanoseconds that this thread spends on `body`.
func cpuTime(_ body: () -> Void) -> Double {
    func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) * 1e9 + Double(time.tv_nsec)
    }
    let start = now()
    body()
    return now() - start
}
