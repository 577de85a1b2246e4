<?php
// Guzzle, on which most PHP libraries for an API stand.

require 'GuzzleHttp/autoload.php';

use GuzzleHttp\Client;
use GuzzleHttp\Psr7\PumpStream;
use GuzzleHttp\Psr7\Utils;

[, $url, $file] = $argv;
$client = new Client();
foreach (array_slice($argv, 3) as $upload) {
    $content = fopen($file, 'rb');
    $body = str_starts_with($upload, 'chunked')
        ? new PumpStream(fn ($size) => feof($content) ? false : fread($content, $size))
        : Utils::streamFor($content);
    try {
        $answer = $client->post($url, ['headers' => ['X-Test-Id' => $upload], 'body' => $body]);
        echo implode(' ', [
            $upload, $answer->getStatusCode(),
            $answer->getHeaderLine('X-Sim-Body-Length'), $answer->getHeaderLine('X-Sim-Body-Sha256'),
        ]), "\n";
    } catch (Exception $e) {
        echo "$upload failed: ", strtok($e->getMessage(), "\n"), "\n";
    }
}
