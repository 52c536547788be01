import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.common.utils.AppInfoParser;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.state.WindowStore;

/**
 * How fast is Kafka Streams: a tumbling window with an aggregate in RocksDB, at least once?
 *
 * Durable by its changelog topic. Its record cache, one stream thread and fetch sizes are the defaults; the
 * commit interval is the one of all peers. The JVM gets the same heap as the broker.
 */
public final class Waits {
    private static final long WINDOW_MS = 10_000;
    private static final long IN_TARGET_MS = 20_000;
    private static final long DURABLE_EVERY_MS = 2_000;
    // A backlog runs many times faster than its events happened: by default a window would be over the age limit
    // of the store before the first commit, and would never be stored at all.
    private static final Duration RETENTION = Duration.ofHours(1);

    @JsonIgnoreProperties(ignoreUnknown = true)
    record Wait(
        @JsonProperty("queue") String queue,
        @JsonProperty("at_ms") long atMs,
        @JsonProperty("wait_ms") long waitMs) {}

    record Sums(long count, long waitMs, long within) {
        Sums add(Wait wait) {
            return new Sums(count + 1, waitMs + wait.waitMs(), within + (wait.waitMs() <= IN_TARGET_MS ? 1 : 0));
        }
    }

    private final long expected;
    private final AtomicLong seen = new AtomicLong();
    private final CountDownLatch done = new CountDownLatch(1);
    private final Map<Windowed<String>, Sums> results = new ConcurrentHashMap<>();
    private final OperatingSystemMXBean system =
        (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    private volatile boolean running;
    private long startedNs;
    private long startedCpuNs;
    private double seconds;
    private double cpuSeconds;

    private Waits(long expected) {
        this.expected = expected;
    }

    public static void main(String[] args) throws Exception {
        Map<String, String> told = flags(args);
        Waits waits = new Waits(Long.parseLong(told.get("--expected")));
        Path folder = Path.of(told.get("--state-dir"));
        Properties config = config(told.get("--broker"), folder);
        try (KafkaStreams streams = new KafkaStreams(waits.topology(told.get("--topic")), config)) {
            streams.setUncaughtExceptionHandler(error -> {
                error.printStackTrace();
                Runtime.getRuntime().halt(1);
                return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
            });
            streams.start();
            waits.done.await();
            // An orderly end empties the record cache, so that the last value of every window comes out.
            streams.close(Duration.ofSeconds(60));
        }
        waits.write(folder.resolve("results.jsonl"));
        waits.report();
    }

    private static Map<String, String> flags(String[] args) {
        Map<String, String> told = new HashMap<>();
        for (int i = 0; i + 1 < args.length; i += 2) {
            told.put(args[i], args[i + 1]);
        }
        return told;
    }

    private static Properties config(String broker, Path folder) {
        Properties config = new Properties();
        config.put(StreamsConfig.APPLICATION_ID_CONFIG, folder.getFileName().toString());
        config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, broker);
        config.put(StreamsConfig.STATE_DIR_CONFIG, folder.resolve("rocksdb").toString());
        config.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, DURABLE_EVERY_MS);
        config.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
        return config;
    }

    private Topology topology(String topic) {
        StreamsBuilder builder = new StreamsBuilder();
        Consumed<String, Wait> source = Consumed.with(Serdes.String(), waitSerde())
            .withTimestampExtractor((record, partitionTime) -> ((Wait) record.value()).atMs());
        builder.stream(topic, source)
            .groupByKey()
            .windowedBy(TimeWindows.ofSizeWithNoGrace(Duration.ofMillis(WINDOW_MS)))
            .aggregate(() -> new Sums(0, 0, 0), (queue, wait, sums) -> add(sums, wait),
                Materialized.<String, Sums, WindowStore<Bytes, byte[]>>with(Serdes.String(), sumsSerde())
                    .withRetention(RETENTION))
            .toStream()
            .foreach(results::put);
        return builder.build();
    }

    private Sums add(Sums sums, Wait wait) {
        Sums more = sums.add(wait);
        if (seen.incrementAndGet() == expected) {
            seconds = (System.nanoTime() - startedNs) / 1e9;
            cpuSeconds = (system.getProcessCpuTime() - startedCpuNs) / 1e9;
            done.countDown();
        }
        return more;
    }

    private synchronized void start() {
        if (!running) {
            startedNs = System.nanoTime();
            startedCpuNs = system.getProcessCpuTime();
            running = true;
        }
    }

    private Serde<Wait> waitSerde() {
        ObjectReader reader = new ObjectMapper().readerFor(Wait.class);
        Deserializer<Wait> decode = (topic, data) -> {
            if (!running) {
                start();
            }
            try {
                return reader.readValue(data);
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
        };
        Serializer<Wait> never = (topic, wait) -> {
            throw new UnsupportedOperationException("events are only read");
        };
        return Serdes.serdeFrom(never, decode);
    }

    private static Serde<Sums> sumsSerde() {
        Serializer<Sums> encode = (topic, sums) -> sums == null ? null
            : ByteBuffer.allocate(24).putLong(sums.count()).putLong(sums.waitMs()).putLong(sums.within()).array();
        Deserializer<Sums> decode = (topic, data) -> {
            if (data == null) {
                return null;
            }
            ByteBuffer bytes = ByteBuffer.wrap(data);
            return new Sums(bytes.getLong(), bytes.getLong(), bytes.getLong());
        };
        return Serdes.serdeFrom(encode, decode);
    }

    private void write(Path file) throws IOException {
        List<String> lines = new ArrayList<>();
        results.forEach((window, sums) -> lines.add(String.format(Locale.ROOT, "[\"%s\", %d, %d, %d, %d]",
            window.key(), window.window().start(), sums.count(), sums.waitMs(), sums.within())));
        Files.write(file, lines);
    }

    private static double peakRssMb() throws IOException {
        String line = Files.readAllLines(Path.of("/proc/self/status")).stream()
            .filter(l -> l.startsWith("VmHWM:")).findFirst().orElseThrow();
        return Long.parseLong(line.replaceAll("\\D", "")) / 1024.0;
    }

    private void report() throws IOException {
        System.out.println(String.format(Locale.ROOT,
            "{\"peer\": \"kafka-streams\", \"version\": \"%s\", \"events\": %d, \"seconds\": %.4f, "
                + "\"events_per_s\": %.1f, \"cpu_s\": %.4f, \"peak_rss_mb\": %.1f}",
            AppInfoParser.getVersion(), expected, seconds, expected / seconds, cpuSeconds, peakRssMb()));
    }
}
