// SPDX-License-Identifier: Apache-2.0
// What Prometheus expects of every process: processor time, memory, files, start; read from /proc at each scrape.

import Foundation

enum ProcessFigures {
    struct Reading: Equatable {
        var processorSeconds: Double
        var residentBytes: Int
        var startSeconds: Double
    }

    static func page(version: String) -> String {
        var page = """
            # HELP sallyport_build_info The version that runs.
            # TYPE sallyport_build_info gauge
            sallyport_build_info{version="\(version)"} 1

            """
        if let stat = text("/proc/self/stat"), let system = text("/proc/stat"),
            let reading = reading(stat: stat, system: system, ticks: sysconf(Int32(_SC_CLK_TCK)), pageSize: sysconf(Int32(_SC_PAGESIZE)))
        {
            page += """
                # HELP process_cpu_seconds_total Processor time, user and system.
                # TYPE process_cpu_seconds_total counter
                process_cpu_seconds_total \(reading.processorSeconds)
                # HELP process_resident_memory_bytes Memory that is in use.
                # TYPE process_resident_memory_bytes gauge
                process_resident_memory_bytes \(reading.residentBytes)
                # HELP process_start_time_seconds When the process began, in seconds since 1970.
                # TYPE process_start_time_seconds gauge
                process_start_time_seconds \(reading.startSeconds)

                """
        }
        if let open = try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count {
            page += """
                # HELP process_open_fds Open files and sockets.
                # TYPE process_open_fds gauge
                process_open_fds \(open)

                """
        }
        return page
    }

    /// proc_pid_stat(5): the fields after the name, which may hold blanks and brackets; field 3 is the first of them.
    static func reading(stat: String, system: String, ticks: Int, pageSize: Int) -> Reading? {
        guard let end = stat.lastIndex(of: ")"), ticks > 0 else { return nil }
        let fields = stat[stat.index(after: end)...].split(whereSeparator: \.isWhitespace)
        guard fields.count > 21, let user = Int(fields[11]), let kernel = Int(fields[12]), let start = Int(fields[19]),
            let pages = Int(fields[21]),
            let bootLine = system.split(separator: "\n").first(where: { $0.hasPrefix("btime ") }), let boot = Int(bootLine.dropFirst(6))
        else { return nil }
        return Reading(
            processorSeconds: Double(user + kernel) / Double(ticks), residentBytes: pages * pageSize,
            startSeconds: Double(boot) + Double(start) / Double(ticks))
    }

    static func text(_ path: String) -> String? {
        // Files of /proc have no length, so that String(contentsOfFile:) may find them empty.
        guard let handle = FileHandle(forReadingAtPath: path), let data = try? handle.readToEnd() else { return nil }
        return String(bytes: data, encoding: .utf8)
    }
}
