<?php
// PHP's own curl, one handle for all uploads.

[, $url, $file] = $argv;
$curl = curl_init();
foreach (array_slice($argv, 3) as $upload) {
    curl_reset($curl);
    $told = [];
    $header = ["X-Test-Id: $upload"];
    if (str_starts_with($upload, 'chunked')) {
        $header[] = 'Transfer-Encoding: chunked';
    } else {
        curl_setopt($curl, CURLOPT_INFILESIZE, filesize($file));
    }
    curl_setopt_array($curl, [
        CURLOPT_URL => $url,
        CURLOPT_UPLOAD => true,
        CURLOPT_CUSTOMREQUEST => 'POST',
        CURLOPT_INFILE => fopen($file, 'rb'),
        CURLOPT_HTTPHEADER => $header,
        CURLOPT_RETURNTRANSFER => true,
        CURLOPT_HEADERFUNCTION => function ($curl, $line) use (&$told) {
            [$name, $value] = explode(':', $line, 2) + [1 => ''];
            $told[strtolower($name)] = trim($value);
            return strlen($line);
        },
    ]);
    if (curl_exec($curl) === false) {
        echo "$upload failed: ", curl_error($curl), "\n";
        continue;
    }
    echo implode(' ', [
        $upload, curl_getinfo($curl, CURLINFO_RESPONSE_CODE),
        $told['x-sim-body-length'] ?? '-', $told['x-sim-body-sha256'] ?? '-',
    ]), "\n";
}
