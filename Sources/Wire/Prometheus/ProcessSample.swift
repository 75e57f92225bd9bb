// What Linux says of this process, read from /proc at each scrape (proc(5)), for the names that every Prometheus client
// uses.

import Glibc

struct ProcessSample: Equatable {
    /// `nil` where /proc cannot be read.
    var residentBytes: Int?
    var virtualBytes: Int?
    /// Seconds since 1970.
    var startTime: Double?
    /// User and system time together.
    var processorSeconds: Double?
    var openDescriptors: Int?
    var maximumDescriptors: Int?

    static func current() -> ProcessSample {
        var sample = ProcessSample()
        if let stat = contents(of: "/proc/self/stat"), let system = contents(of: "/proc/stat") {
            sample.read(
                stat: stat,
                system: system,
                ticksPerSecond: sysconf(Int32(_SC_CLK_TCK)),
                pageBytes: sysconf(Int32(_SC_PAGESIZE))
            )
        }
        sample.openDescriptors = entries(of: "/proc/self/fd")
        var limit = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
            sample.maximumDescriptors = Int(clamping: limit.rlim_cur)
        }
        return sample
    }

    /// - Parameters:
    ///   - stat: `/proc/self/stat`; the fields after the command's name, which may hold anything, even `)`.
    ///   - system: `/proc/stat`, for the time at which the machine started.
    mutating func read(stat: String, system: String, ticksPerSecond: Int, pageBytes: Int) {
        guard ticksPerSecond > 0, let end = stat.lastIndex(of: ")") else { return }
        // Field 3, the state, is the first after the name; proc(5) counts from 1.
        let fields = stat[stat.index(after: end)...].split(whereSeparator: \.isWhitespace)
        func field(_ number: Int) -> Int? { fields.count > number - 3 ? Int(fields[number - 3]) : nil }
        let ticks = Double(ticksPerSecond)
        if let user = field(14), let system = field(15) { processorSeconds = Double(user + system) / ticks }
        virtualBytes = field(23)
        residentBytes = field(24).map { $0 * pageBytes }
        let boot = system.split(separator: "\n").first { $0.hasPrefix("btime ") }.flatMap { Double($0.dropFirst(6)) }
        if let boot, let start = field(22) { startTime = boot + Double(start) / ticks }
    }

    /// A file of /proc has no size, so it is read until its end.
    private static func contents(of path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        while bytes.count < 1 << 20 {
            let chunk = [UInt8](unsafeUninitializedCapacity: 16 * 1024) { buffer, count in
                count = max(0, Glibc.read(descriptor, buffer.baseAddress, buffer.count))
            }
            guard !chunk.isEmpty else { break }
            bytes += chunk
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The entries of a directory, without `.`, `..` and the descriptor that this very count needs.
    private static func entries(of path: String) -> Int? {
        guard let directory = opendir(path) else { return nil }
        defer { closedir(directory) }
        var count = 0
        while readdir(directory) != nil { count += 1 }
        return max(0, count - 3)
    }
}
