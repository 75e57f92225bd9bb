// The process' own metrics, from proc(5) texts and from this very process.

import Testing

@testable import Prometheus

@Suite("Process metrics")
struct ProcessSampleTests {
    private func stat(name: String) -> String {
        "42 (\(name)) S 1 42 42 0 -1 4194560 900 0 0 0 150 50 0 0 20 0 4 0 12345 104857600 2560 18446744073709551615 1 1"
    }

    @Test(
        "fields are counted from the last parenthesis, whatever the command's name is",
        arguments: ["postern", "a) R 9 (b"]
    )
    func fields(name: String) {
        var sample = ProcessSample()
        sample.read(
            stat: stat(name: name),
            system: "cpu 1 2 3\nintr 5\nbtime 1700000000\nprocesses 9\n",
            ticksPerSecond: 100,
            pageBytes: 4096
        )
        #expect(sample.processorSeconds == 2)
        #expect(sample.startTime == 1_700_000_123.45)
        #expect(sample.virtualBytes == 104_857_600)
        #expect(sample.residentBytes == 10_485_760)
    }

    @Test("a text that is cut off or empty gives no numbers", arguments: ["", "42 (postern", "42 (postern) S 1 42"])
    func broken(text: String) {
        var sample = ProcessSample()
        sample.read(stat: text, system: "", ticksPerSecond: 100, pageBytes: 4096)
        #expect(sample == ProcessSample())
    }

    @Test("a scrape shows this process as it is")
    func live() throws {
        let lines = String(decoding: PrometheusRegistry().exposition(), as: UTF8.self).split(separator: "\n")
        func value(_ name: String) throws -> Double {
            try #require(lines.first { $0.hasPrefix("\(name) ") }.flatMap { Double($0.dropFirst(name.count + 1)) })
        }
        #expect(try value("process_resident_memory_bytes") > 1_048_576)
        #expect(try value("process_virtual_memory_bytes") >= value("process_resident_memory_bytes"))
        #expect(try value("process_open_fds") >= 3)
        #expect(try value("process_max_fds") >= value("process_open_fds"))
        #expect(try value("process_cpu_seconds_total") >= 0)
        #expect(try value("process_start_time_seconds") > 1_600_000_000)
        #expect(lines.contains("# TYPE process_cpu_seconds_total counter"))
    }
}
